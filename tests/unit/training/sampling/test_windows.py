import pytest
import torch
from torch import nn

from voxnas.core.architecture import Recipe
from voxnas.data.dataset import StudyData
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.metrics import Validation, mean_log_probabilities
from voxnas.training.prefetch import Prefetcher
from voxnas.training.sampling.windows import RunSampler
from voxnas.training.targets import Targets


def sampler(paths, view, seed=5, **recipe):
    data = StudyData(paths, view)
    scans = data.development_scans()
    recipe = Recipe(loss="ce", **recipe)
    return RunSampler(data, scans, Targets.of(data, scans), seed, recipe)


@pytest.mark.parametrize("view", ["clips", "maps", "series", "connectivity"])
def test_a_batch_is_a_function_of_seed_and_numbers(timed_study, view):
    paths = timed_study()
    one, two = (sampler(paths, view, spatial=1.0, intensity=1.0).batch([0, 7, 3]) for _ in range(2))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    other = sampler(paths, view, seed=6, spatial=1.0, intensity=1.0).batch([0, 7, 3])
    assert not torch.equal(one[0], other[0])
    assert torch.isfinite(one[0]).all() and one[0].shape[0] == 3


def test_an_epoch_sees_each_run_once_and_windows_from_all_over(timed_study):
    drawn = sampler(timed_study(), "clips", spatial=0, intensity=0)
    assert drawn.epoch == 3
    firsts = [drawn.sample(j)[0][0, 0, 0, 0, 0].item() for j in range(90)]
    for epoch in range(30):
        assert sorted(int(v) // 100 for v in firsts[3 * epoch : 3 * epoch + 3]) == [2, 3, 4]
    assert {int(v) % 100 for v in firsts} == set(range(14))  # 20 volumes, windows of 7


def test_labelled_volumes_are_the_epoch(timed_study):
    drawn = sampler(timed_study("volume"), "clips", spatial=0, intensity=0)
    assert drawn.epoch == 6
    found = {(int(x[-1, 0, 0, 0, 0]) % 100, int(target)) for x, target in map(drawn.sample, range(6))}
    assert found == {(1, 0), (3, 1)}  # old at volume 1, young at volume 3


def test_predictions_of_a_run_are_averaged(timed_study):
    data = StudyData(timed_study())
    scans = data.development_scans()

    class Level(nn.Module):
        """Says young the surer, the later the window."""

        def forward(self, x):
            level = x[:, 0, 0, 0, 0, 0] % 100 - 3
            return torch.stack([torch.zeros_like(level), level], 1)

    validation = Validation(data, scans, Targets.of(data, scans), "float32")
    assert len(validation.samples) == 9
    score, metrics = validation(Level(), SingleBackend())
    # Every run has the windows 0, 6 or 7 and 13: all cases look alike.
    assert score == pytest.approx(0.5) and metrics["auc"] == score


def test_the_mean_is_of_probabilities():
    import numpy as np

    found = np.exp(mean_log_probabilities(np.log([[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]]), [[0, 1], [2]]))
    assert np.allclose(found, [[0.6, 0.4], [0.5, 0.5]])


def test_reading_ahead_changes_no_batch(timed_study):
    paths = timed_study()
    plain, ahead = (Prefetcher(sampler(paths, "clips", spatial=1.0, intensity=1.0), on) for on in (False, True))
    for first in range(0, 20, 2):
        following = [first + 2, first + 3] if first != 8 else [40, 41]  # once somebody else comes than was expected
        one, two = plain.batch([first, first + 1], following), ahead.batch([first, first + 1], following)
        assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
