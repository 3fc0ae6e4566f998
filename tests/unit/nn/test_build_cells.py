"""Networks of cells and of motifs agree with their records at any size that their strides divide."""

import numpy as np
import pytest
import torch
from plans import changed, space_file, volume_plan

from voxnas.arch.families import expand
from voxnas.arch.primitives.base import PRIMITIVES, blocks
from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze
from voxnas.nn.build import build_network

# The plan of scans with thick slices, in which one axis is divided later than the others.
PLAN = volume_plan(
    patch=(12, 40, 56),
    strides=[(1, 1, 1), (1, 2, 2), (3, 2, 2), (2, 2, 2)],
    kernels=[(1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3)],
    channels=2,
)
SMALL = {"stages": 3, "base_width": 4, "growth": 1.5, "cells": {"choices": [1, 2]}}
NAMES = ["cells-cnn", "cells-unet", "hierarchical-cnn", "hierarchical-unet"]


def networks(name, count, operations=None):
    raw = space_file(name)
    raw["parameters"] |= SMALL
    if operations:
        (raw["cell"] if name.startswith("cells") else raw)["operations"] = operations
    space = SearchSpace.from_dict(raw)
    plan = changed(PLAN, task=space.family.tasks[0])
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield space.decode(space.sample(rng), plan)[0]


@pytest.mark.parametrize("name", NAMES)
def test_shapes_weights_and_counts(name):
    for architecture in networks(name, 4):
        size = tuple(s * n for s, n in zip(expand(architecture).divisor, (1, 2, 3), strict=True))
        network = build_network(architecture)
        assert sum(p.numel() for p in network.parameters()) == analyze(architecture, size).parameters
        x = torch.randn(2, 2, *size)
        outputs = network.train()(x)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        assert outputs[0].shape == ((2, 3, *size) if architecture.decoder else (2, 3))
        sum(y.square().sum() for y in outputs).backward()
        assert [n for n, p in network.named_parameters() if p.grad is None] == []
        assert torch.isfinite(network.eval()(x)).all()


@pytest.mark.parametrize(
    "operation", [op for op in PRIMITIVES if PRIMITIVES[op].window or (op in blocks() and op != "zero")]
)
def test_every_operation_fits_into_a_cell(operation):
    """Also with the stride of a reduction cell, and with a larger kernel for operations with a kernel."""
    names = [operation, *([f"{operation}_5"] if PRIMITIVES[operation].sized else [])]
    architecture = next(networks("cells-cnn", 1, names))
    found = (*architecture.normal, *architecture.reduction)
    assert {op for node in found for _, op in node} == set(names)
    with torch.no_grad():
        x = torch.randn(2, 2, *(s * n for s, n in zip(expand(architecture).divisor, (1, 2, 2), strict=True)))
        assert torch.isfinite(build_network(architecture).eval()(x)).all()


def test_deep_supervision_returns_the_lower_stages_in_training():
    architecture = next(networks("cells-unet", 1))
    plain = architecture.plain()
    four = {key: [*plain[key], plain[key][-1]] for key in ("widths", "cells", "strides", "kernels")}
    network = build_network(type(architecture)(**{**plain, **four, "deep_supervision": True}))
    x = torch.randn(2, 2, 18, 16, 16)
    assert [tuple(y.shape[2:]) for y in network.train()(x)] == [(18, 16, 16), (18, 8, 8), (6, 4, 4)]
    assert network.eval()(x).shape == (2, 3, 18, 16, 16)
