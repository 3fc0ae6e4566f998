import pytest
import torch

from voxnas.arch.families.linear import Linear
from voxnas.data.dataset import StudyData
from voxnas.io.weights import save_weights
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.inference import load_trained, predict_vectors
from voxnas.training.linear import fit_linear
from voxnas.training.metrics import Validation
from voxnas.training.targets import Targets


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_fits_saves_and_predicts(new_study, tmp_path, task):
    data = StudyData(new_study(task, scans=24))
    architecture = Linear(in_channels=1, out_channels=2 if task == "classification" else 1, voxel_mm=4)
    scans = data.train_scans(0)
    targets = Targets.of(data, scans)
    model = fit_linear(architecture, data, scans, targets, 0)
    assert model.linear.weight.shape == (architecture.out_channels, 8)
    score, metrics = Validation(data, data.validation_scans(0), targets, "float32")(model, SingleBackend())
    if task == "classification":
        assert score == metrics["auc"] == 1.0
    else:
        assert metrics["mae"] < 5 < targets.sd
    save_weights(tmp_path / "w.safetensors", model.state_dict(), targets.metadata())
    again = load_trained(architecture, tmp_path / "w.safetensors")
    found = predict_vectors(again, [data.image(scans[0])], data.plan.patch)[0]
    expected = model(data.image(scans[0])[None])[0] * targets.sd + targets.mean
    assert torch.allclose(found, expected, atol=1e-4)
