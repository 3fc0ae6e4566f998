"""Fit of the times of networks: a linear model of layer features, with one factor for each primitive.

The features (:mod:`voxnas.complexity.features`) are common to all primitives, so that a rarely timed primitive is
predicted from its layers. The factor accounts for the efficiency of a primitive's implementation on this device. It is
regularised towards 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from voxnas.complexity.features import FEATURES
from voxnas.core.calibration import ByPrimitive, TimeModel

ROUNDS = 4  # alternating fits of coefficients and factors
NETWORK_WEIGHT = 3.0  # weight of a network; a node has weight 1
FACTOR_WEIGHT = 3.0  # weight of the penalty (factor - 1)^2 relative to squared relative errors


def fit_times(
    networks: Sequence[ByPrimitive], times: Sequence[float], nodes: Sequence[ByPrimitive], node_times: Sequence[float]
) -> TimeModel:
    """Fit non-negative coefficients and factors by least squares of the relative errors of networks and nodes.

    Parameters
    ----------
    networks, nodes : sequence of features by primitive
    times, node_times : sequence of float
        Measured times, in the unit of the predictions.
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
    """Compute the relative error of each network, predicted from all other networks and the nodes."""
    errors = []
    for i in range(len(times)):
        others = [j for j in range(len(times)) if j != i]
        model = fit_times([networks[j] for j in others], [times[j] for j in others], nodes, node_times)
        errors.append(abs(model.predict(networks[i]) / times[i] - 1))
    return np.array(errors)
