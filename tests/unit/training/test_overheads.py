"""The costs of a training besides its passes, separated by hand-made times."""

import pytest
from plans import calibration, measured_network
from tiny_training import PATCH

from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.io.records import read_plan
from voxnas.training import overheads


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_the_start_and_the_rest_of_a_step_follow_from_two_trainings(new_study, new_job, monkeypatch, task):
    paths, architecture = new_study(task), new_job(task).architecture
    spec = stage_spec(
        parse_settings({"task": task, "training": {"validations": 2, "precision": "float32"}}), "calibrate"
    )
    record = calibration(table=measured_network(architecture, PATCH, 0.25), validations=2)
    asked = []

    def seconds(paths, job):
        asked.append(job.samples)
        return 4.0 + job.samples / 2 * (2 * 0.25 + 0.125)

    monkeypatch.setattr(overheads, "training_seconds", seconds)
    found = overheads.add_overheads(paths, read_plan(paths.plan), spec, record)
    cost, row = found.process[""], next(iter(found.table.values()))
    assert asked[0] == 2 and asked[1] > 4
    assert cost.start == pytest.approx(4.0, abs=0.1) and 0 < cost.step < 0.125
    assert 0 < cost.read < 0.1 and cost.predictions > 0
    assert set(row.update_seconds) == set(found.updates) == {"adamw", "muon", "sgd"}
    assert row.update_seconds["muon"] > row.update_seconds["sgd"] > 0
