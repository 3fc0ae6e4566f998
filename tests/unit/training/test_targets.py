import numpy as np
import pytest
import torch
from tiny_training import train_stored

from voxnas.core.errors import UserError
from voxnas.data.dataset import StudyData
from voxnas.io.weights import load_weights
from voxnas.training.targets import Targets


def test_classes_and_values(new_study):
    data = StudyData(new_study("classification"))
    targets = Targets.of(data, data.train_scans(0))
    assert targets.encode("control").item() == 1
    assert targets.metadata() == {}
    with pytest.raises(UserError, match=r"'ill'.*atrophy, control"):
        targets.encode("ill")

    data = StudyData(new_study("regression"))
    scans = data.train_scans(0)
    targets = Targets.of(data, scans)
    coded = torch.stack([targets.encode(data.target(s)) for s in scans])
    assert coded.mean().item() == pytest.approx(0, abs=1e-6)
    assert float(targets.metadata()["target_mean"]) == targets.mean
    for bad in ("old", "nan", None):
        with pytest.raises(UserError, match="is not a number"):
            targets.encode(bad)


def test_a_training_scales_the_targets_by_its_own_scans(new_study, new_job):
    paths = new_study("regression")
    data = StudyData(paths)
    entry, _ = train_stored(paths, new_job("regression", 4))
    _, metadata = load_weights(entry.weights)
    values = np.array([float(data.target(scan)) for scan in data.train_scans(0)])
    assert float(metadata["target_mean"]) == pytest.approx(values.mean())
    assert float(metadata["target_sd"]) == pytest.approx(values.std())
    assert values.mean() != np.mean([float(data.target(scan)) for scan in data.development_scans()])


def test_equal_values_do_not_divide_by_zero(new_study):
    data = StudyData(new_study("regression"))
    assert Targets.of(data, data.train_scans(0)[:1]).sd == 1.0
