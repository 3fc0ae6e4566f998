"""Predicted times: measured networks exactly, others by their layers."""

import subprocess
import sys

import numpy as np
import pytest
from plans import calibration, limit, measured_network, space_file, staged, volume_plan

from voxnas.arch.families.cnn import CNN
from voxnas.complexity.calibration import (
    identity,
    predict_latency_ms,
    predict_sample_seconds,
    predict_train_seconds,
    predict_training_mib,
    samples_of,
)
from voxnas.complexity.features import FEATURES, update_features
from voxnas.complexity.features import features as features_by_primitive
from voxnas.complexity.memory_model import training_mib
from voxnas.core.calibration import MemoryCorrection
from voxnas.core.errors import UserError
from voxnas.core.settings import Budget, StudySettings
from voxnas.core.spec import stage_spec

PATCH = [16, 16, 16]


def features(architecture, patch, training):
    """Summed over the primitives."""
    rows = features_by_primitive(architecture, patch, training).values()
    return {name: sum(row[name] for row in rows) for name in FEATURES}


def cnn(width, **changes):
    return CNN(**staged([width, 2 * width]) | changes)


def calibrated(factors=None, **coefficients):
    zero = dict.fromkeys(FEATURES, 0.0)
    times = {"coefficients": {**zero, **coefficients}, "factors": {"plain": 1.0, **(factors or {})}}
    latency = {"coefficients": {**zero, "voxels": 10.0}, "factors": {}}
    table = measured_network(cnn(8), PATCH, 0.25)
    return calibration(table=table, model={"train_seconds": times, "latency_ms": latency})


def test_a_measured_network_has_its_measured_time():
    record = calibrated(dense=1.0)
    assert predict_train_seconds(record, cnn(8), PATCH) == 0.25
    assert predict_latency_ms(record, cnn(8), PATCH) == 3.0
    assert predict_train_seconds(record, cnn(8), [32, 32, 32]) != 0.25


def test_other_networks_have_the_sum_of_their_layers():
    record = calibrated(parameters=2.0, layers=1e6)
    facts = features(cnn(16), PATCH, training=True)
    assert facts["parameters"] == pytest.approx((27 * 16 + 27 * 16 * 32 + 2 * 16 + 2 * 32 + 32 * 2 + 2) / 1e6)
    assert predict_train_seconds(record, cnn(16), PATCH) == pytest.approx(
        2 * facts["parameters"] + 1e6 * facts["layers"]
    )


def test_features_count_full_vectors_and_tell_kinds_of_convolutions():
    plain, inverted = (
        features(cnn(16, block=block, expansion=2), PATCH, training=False) for block in ("plain", "inverted")
    )
    assert plain["depthwise"] == 0 and inverted["depthwise"] == pytest.approx(27 * 32 * 8**3 / 1e9)
    assert inverted["pointwise"] == pytest.approx((16 * 32 * 16**3 + 32 * 32 * 8**3) / 1e9, rel=1e-3)
    assert features(cnn(12), PATCH, False)["dense"] == pytest.approx(plain["dense"], rel=1e-3)
    assert features(cnn(16, kernels=[[5, 5, 5]] * 2), PATCH, False)["dense"] == 0
    assert plain["norm_instance"] == pytest.approx((16 * 16**3 + 32 * 8**3) / 1e6) and plain["norm_group"] == 0
    assert plain["curved"] == 0 < features(cnn(16, activation="silu"), PATCH, False)["curved"]


def test_memory_is_the_models_times_the_devices_factor():
    record = calibration(memory={"factor": 1.5, "bf16": True, "cuda": False, "table": ()})
    assert predict_training_mib(record, cnn(8), PATCH) == pytest.approx(1.5 * training_mib(cnn(8), PATCH, 2, True))


def test_a_budget_in_seconds_buys_whole_batches():
    record = calibrated()
    assert samples_of(Budget(amount=77, unit="samples"), None, cnn(8), PATCH, "adamw") == 77
    assert samples_of(Budget(amount=77, unit="samples"), None, cnn(8), PATCH, "adamw", 2) == 154
    assert samples_of(Budget(amount=10.4, unit="cpu_seconds"), record, cnn(8), PATCH, "adamw") == 40
    with pytest.raises(UserError, match="needs a calibration"):
        samples_of(Budget(amount=10, unit="cpu_seconds"), None, cnn(8), PATCH, "adamw")


def test_a_budget_pays_for_everything_that_the_process_does():
    seen = cnn(8).model_copy(update={"view": "series"})
    table = measured_network(cnn(8), PATCH, 0.25) | measured_network(seen, PATCH, 0.25)
    budget = Budget(amount=10.4, unit="cpu_seconds")

    def samples(architecture=None, **costs):
        record = calibration(table=table, validations=2, process={"": costs, "series": {"read": 0.75}})
        return samples_of(budget, record, architecture or cnn(8), PATCH, "adamw")

    assert samples() == 40
    assert samples(read=0.25) == 20 and samples(step=0.5) == 20
    assert samples(start=5.4) == 20
    assert samples(validation=2.7) == 20  # twice
    assert samples(predictions=900) == 20  # twice 900 predictions of 3 ms
    assert samples(seen) == 10
    with pytest.raises(UserError, match="does not pay for a training of 'cnn': its start and 2 validations take 12 s"):
        samples(start=12)


def test_an_update_costs_what_the_optimizer_of_the_recipe_takes():
    row = measured_network(cnn(8), PATCH, 0.25)
    row[identity(cnn(8))]["update_seconds"] = {"adamw": 0.1, "muon": 0.5}
    updates = {"muon": {"tensors": 0.0, "parameters": 2.0, "orthogonal": 1e3}}
    record = calibrated(dense=1.0).model_copy(update={"table": calibration(table=row).table, "updates": updates})
    assert predict_train_seconds(record, cnn(8), PATCH) == pytest.approx(0.25 + 0.1 / 2)
    assert predict_sample_seconds(record, cnn(8), PATCH, "muon") == pytest.approx(0.25 + 0.5 / 2)
    # Of the matrices 16 x 27, 32 x 432 and 2 x 32: 2 m^2 n + m^3 multiply-adds, by hand.
    found = update_features(cnn(16), PATCH)
    assert found["orthogonal"] == pytest.approx((17_920 + 917_504 + 264) / 1e9, rel=1e-2)
    update = 2.0 * found["parameters"] + 1e3 * found["orthogonal"]
    difference = predict_train_seconds(record, cnn(16), PATCH, "muon") - predict_train_seconds(record, cnn(16), PATCH)
    assert difference == pytest.approx(update / 2)


def test_a_primitives_factor_multiplies_its_nodes_alone():
    record = calibrated(dense=1.0, pointwise=2.0)
    without = predict_train_seconds(record, cnn(16, head_width=4), PATCH)
    record = calibrated({"linear_head": 3.0}, dense=1.0, pointwise=2.0)
    rows = features_by_primitive(cnn(16, head_width=4), PATCH, True)
    assert predict_train_seconds(record, cnn(16, head_width=4), PATCH) == pytest.approx(
        without + 2 * 2.0 * rows["linear_head"]["pointwise"]
    )


def test_the_fit_finds_exact_times_and_a_primitive_that_takes_twice_as_long():
    from voxnas.complexity.fit import fit_times, left_out_errors

    rng = np.random.default_rng(0)
    truth = dict.fromkeys(FEATURES, 0.0) | {"dense": 3.0, "layers": 2e-3}

    def rows(*ops):
        return {op: {name: rng.random() for name in FEATURES} for op in ops}

    def times(found, slow):
        return [
            sum((slow if op == "b" else 1) * sum(truth[k] * v for k, v in row.items()) for op, row in rows.items())
            for rows in found
        ]

    networks, nodes = [rows("a", "b") for _ in range(30)], [rows(op) for op in "ab" * 20]
    exact = fit_times(networks, times(networks, 1), nodes, times(nodes, 1))
    assert exact.factors == pytest.approx({"a": 1, "b": 1}) and exact.coefficients["dense"] == pytest.approx(3)
    assert exact.coefficients["voxels"] == pytest.approx(0, abs=1e-6)
    slow = fit_times(networks, times(networks, 2), nodes, times(nodes, 2))
    assert slow.factors["b"] / slow.factors["a"] == pytest.approx(2, rel=0.1)
    assert left_out_errors(networks, times(networks, 2), nodes, times(nodes, 2)).max() < 0.1


def test_nodes_are_timed_one_of_each_primitive_first():
    from voxnas.complexity.blocks import _halving, _in_turn

    turn = list(_in_turn((a, PATCH) for a in (cnn(8), cnn(16, block="residual"), cnn(24))))
    assert len({placed.node.op for placed in turn[:4]}) == 4  # plain, residual, pool and head
    assert sum(placed.node.op == "plain" for placed in turn) == 4
    assert _halving(list(range(6))) == [0, 4, 2, 1, 5, 3]


def test_measuring_gives_a_record_that_predicts():
    from voxnas.complexity.calibrate import measure_calibration

    space = space_file("cnn")
    space["parameters"] |= {"kernel": 3, "base_width": {"choices": [4, 6, 8]}}
    plan = volume_plan("regression", PATCH, [(1, 1, 1), (2, 2, 2), (2, 2, 2)], spacing=(8, 8, 8))
    settings = StudySettings(
        task="regression",
        training={"batch_size": 1, "precision": "float32"},
        baselines={"names": ["block-shift", "block-ghost"]},
    )
    spec = stage_spec(settings, "calibrate")
    record = measure_calibration(space, plan, spec, limit(50_000), seconds=1.0)
    assert len(record.table) >= 4 and record.nodes > 0
    assert record.memory == MemoryCorrection(cuda=False, bf16=False, factor=1.0, table=())
    assert {"block-shift", "block-ghost", "resnet", "sfcn"} <= {row.name for row in record.table.values()}
    for row in record.table.values():
        assert row.train_seconds > 0 and row.latency_ms > 0
        assert row.parameters <= 50_000 or row.name.startswith("block-")
    assert predict_train_seconds(record, cnn(32), PATCH) > 0
    assert record.bf16.train_speedup > 0 and record.device["precision"] == "float32"


def test_predicting_imports_no_torch():
    code = "import voxnas.complexity.calibration, voxnas.complexity.analytic, voxnas.arch.search_space, sys; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
