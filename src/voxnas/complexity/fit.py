"""Fits the time of networks: a sum over layers' facts, times one factor for each primitive.

The facts (:mod:`voxnas.complexity.features`) are the same for all primitives, so that one that was
hardly timed is predicted from its layers. The factor says what they leave out: how well
this device computes the primitive as it is implemented. It is held near 1 unless measurements say otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from voxnas.complexity.features import FEATURES
from voxnas.core.calibration import ByPrimitive, TimeModel

ROUNDS = 4  # of fitting coefficients, then factors
NETWORK_WEIGHT = 3.0  # of a whole network, a node weighing 1
FACTOR_WEIGHT = 3.0  # with which a factor is held at 1, in squared relative errors


def fit_times(
    networks: Sequence[ByPrimitive], times: Sequence[float], nodes: Sequence[ByPrimitive], node_times: Sequence[float]
) -> TimeModel:
    """Non-negative coefficients and factors with the least squared relative error over networks and single nodes.

    Parameters
    ----------
    networks, nodes : sequence of features by primitive
    times, node_times : sequence of float
        What each took, in the unit of the answer.
    """
    rows, target = [*networks, *nodes], np.array([*times, *node_times], dtype=float)
    weights = np.repeat([NETWORK_WEIGHT, 1.0], [len(networks), len(nodes)])
    ops = sorted({op for row in rows for op in row})
    cube = np.zeros((len(rows), len(ops), len(FEATURES)))
    for i, row in enumerate(rows):
        for op, found in row.items():
            cube[i, ops.index(op)] = [found[name] for name in FEATURES]
    relative = cube * (weights / target)[:, None, None]
    factors = np.ones(len(ops))
    for _ in range(ROUNDS):
        coefficients = _nonnegative(np.einsum("iof,o->if", relative, factors), weights)
        of_ops = np.concatenate([relative @ coefficients, np.sqrt(FACTOR_WEIGHT) * np.eye(len(ops))])
        factors, _ = nnls(of_ops, np.concatenate([weights, np.full(len(ops), np.sqrt(FACTOR_WEIGHT))]))
    coefficients = _nonnegative(np.einsum("iof,o->if", relative, factors), weights)
    return TimeModel(
        coefficients=dict(zip(FEATURES, map(float, coefficients), strict=True)),
        factors=dict(zip(ops, map(float, factors), strict=True)),
    )


def _nonnegative(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    scale = matrix.max(axis=0)
    scale[scale == 0] = 1
    return nnls(matrix / scale, target)[0] / scale


def left_out_errors(
    networks: Sequence[ByPrimitive], times: Sequence[float], nodes: Sequence[ByPrimitive], node_times: Sequence[float]
) -> np.ndarray:
    """Relative error of each network, predicted from all others and the nodes."""
    errors = []
    for i in range(len(times)):
        others = [j for j in range(len(times)) if j != i]
        model = fit_times([networks[j] for j in others], [times[j] for j in others], nodes, node_times)
        errors.append(abs(model.predict(networks[i]) / times[i] - 1))
    return np.array(errors)
