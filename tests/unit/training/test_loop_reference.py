"""Hand-made networks in training: batch norm has a state of its own."""

import itertools

import pytest
import torch
from tiny_training import make_context, run_fit

from voxnas.arch.families.reference import Reference
from voxnas.io.weights import save_weights
from voxnas.training.inference import load_trained, predict_probabilities, predict_vectors

CASES = [
    ("segmentation", "segresnet", {}),
    ("segmentation", "unet3d", {"width": 2}),
    ("classification", "shufflenet_v2", {"width": 0.5}),
]


def train(paths, job, folder, stop_after=None):
    steps = itertools.count(1)
    return run_fit(paths, job, make_context(folder, should_stop=lambda: next(steps) == stop_after))


@pytest.mark.parametrize(("task", "name", "options"), CASES, ids=[name for _, name, _ in CASES])
def test_trained_resumed_saved_and_applied(new_study, new_job, tmp_path, task, name, options):
    paths = new_study(task)
    architecture = Reference(name=name, in_channels=1, out_channels=2, options=options)
    job = new_job(task, 8, architecture=architecture)
    whole, outcome = train(paths, job, tmp_path / "a")
    assert outcome.state == "DONE" and outcome.score is not None
    _, first = train(paths, job, tmp_path / "b", stop_after=2)
    resumed, _ = train(paths, job, tmp_path / "b")
    assert first.state == "INTERRUPTED"
    for key, value in whole.state_dict().items():  # running means and variances among them
        assert torch.equal(value, resumed.state_dict()[key]), key

    save_weights(tmp_path / "weights.safetensors", whole.state_dict(), {})
    loaded = load_trained(architecture, tmp_path / "weights.safetensors")
    image = torch.randn(1, 7, 9, 8)
    if task == "segmentation":
        found = predict_probabilities(loaded, image, [8, 8, 8], (), "float32")
        assert found.shape == (2, 7, 9, 8) and torch.allclose(found.sum(0), torch.ones(7, 9, 8), atol=1e-5)
    else:
        found = predict_vectors(loaded, [image], [8, 8, 8], "float32")[0]
        assert torch.isfinite(found).all() and found.shape == (2,)


def test_a_last_batch_of_one_scan_of_one_voxel_is_trained_on(new_study, new_job, tmp_path):
    architecture = Reference(name="resnet10", in_channels=1, out_channels=2)
    network, outcome = train(
        new_study("classification"), new_job("classification", 5, architecture=architecture), tmp_path
    )
    assert (outcome.state, outcome.samples) == ("DONE", 5)
    assert all(torch.isfinite(p).all() for p in network.parameters())
