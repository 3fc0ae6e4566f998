"""Predicted times: measured networks exactly, others by their layers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from voxnas.complexity.calibration import (
    FEATURES,
    features,
    identity,
    predict_latency_ms,
    predict_train_seconds,
    samples_of,
)
from voxnas.core.architecture import CNN
from voxnas.core.errors import UserError

PATCH = [16, 16, 16]


def cnn(width, **changes):
    record = {
        "in_channels": 1,
        "out_channels": 2,
        "widths": [width, 2 * width],
        "blocks": [1, 1],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 2,
    }
    return CNN(**{**record, **changes})


def calibration(**coefficients):
    zero = dict.fromkeys(FEATURES, 0.0)
    return {
        "patch": PATCH,
        "batch_size": 2,
        "table": {identity(cnn(8)): {"train_seconds": 0.25, "latency_ms": 3.0}},
        "coefficients": {"train_seconds": {**zero, **coefficients}, "latency_ms": {**zero, "voxels": 10.0}},
    }


def test_a_measured_network_has_its_measured_time():
    record = calibration(dense=1.0)
    assert predict_train_seconds(record, cnn(8), PATCH) == 0.25
    assert predict_latency_ms(record, cnn(8), PATCH) == 3.0
    assert predict_train_seconds(record, cnn(8), [32, 32, 32]) != 0.25


def test_other_networks_have_the_sum_of_their_layers():
    record = calibration(parameters=2.0, layers=1e6)
    facts = features(cnn(16), PATCH)
    assert facts["parameters"] == pytest.approx((27 * 16 + 27 * 16 * 32 + 2 * 16 + 2 * 32 + 32 * 2 + 2) / 1e6)
    assert predict_train_seconds(record, cnn(16), PATCH) == pytest.approx(2 * facts["parameters"] + 6)


def test_features_count_full_vectors_and_tell_depthwise_convolutions():
    plain, inverted = features(cnn(16), PATCH), features(cnn(16, block="inverted", expansion=2), PATCH)
    assert plain["depthwise"] == 0 and inverted["depthwise"] == pytest.approx(27 * 32 * 8**3 / 1e9)
    assert features(cnn(12), PATCH)["dense"] == pytest.approx(features(cnn(16), PATCH)["dense"], rel=1e-3)


def test_a_budget_in_seconds_buys_whole_batches():
    record = calibration()
    assert samples_of({"amount": 77, "unit": "samples"}, None, cnn(8), PATCH) == 77
    assert samples_of({"amount": 10.4, "unit": "cpu_seconds"}, record, cnn(8), PATCH) == 40
    assert samples_of({"amount": 0.01, "unit": "cpu_seconds"}, record, cnn(8), PATCH) == 2
    with pytest.raises(UserError, match="needs a calibration"):
        samples_of({"amount": 10, "unit": "cpu_seconds"}, None, cnn(8), PATCH)


def test_the_fit_finds_the_coefficients_of_exact_times():
    from voxnas.complexity.calibrate import _fit, _left_out_errors

    rng = np.random.default_rng(0)
    matrix, truth = rng.random((9, 4)), np.array([3.0, 0.0, 2e-3, 5.0])
    assert _fit(matrix, matrix @ truth) == pytest.approx(truth, abs=1e-8)
    assert _left_out_errors(matrix, matrix @ truth).max() < 1e-6
    assert (_fit(matrix, rng.random(9)) >= 0).all()


def test_measuring_gives_a_record_that_predicts():
    from voxnas.complexity.calibrate import measure_calibration

    space = yaml.safe_load((Path(__file__).parents[3] / "config" / "search_spaces" / "cnn.yaml").read_text())
    space["parameters"] |= {"kernel": 3, "base_width": {"choices": [4, 6, 8]}}
    plan = {
        "task": "regression",
        "spacing": [8.0, 8.0, 8.0],
        "patch": PATCH,
        "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 3,
        "channels": 1,
        "outputs": 1,
    }
    spec = {"batch_size": 1, "precision": "float32", "threads": 1, "seed": 0, "swaps": ["block-shift", "block-ghost"]}
    record = measure_calibration(space, plan, spec, {"parameters": 50_000}, seconds=0.0)
    assert len(record["table"]) == len(FEATURES) + 2
    assert {"block-shift", "block-ghost", "resnet", "sfcn"} < {row["name"] for row in record["table"].values()}
    for row in record["table"].values():
        assert (
            row["train_seconds"] > 0
            and row["latency_ms"] > 0
            and (row["parameters"] <= 50_000 or row["name"].startswith("block-"))
        )
    assert predict_train_seconds(record, cnn(32), PATCH) > 0
    assert record["bf16"]["train_speedup"] > 0 and record["device"]["precision"] == "float32"


def test_predicting_imports_no_torch():
    code = "import voxnas.complexity.calibration, voxnas.complexity.analytic, voxnas.core.search_space, sys; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
