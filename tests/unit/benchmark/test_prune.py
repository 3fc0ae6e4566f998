"""Records of the pruned winner and of its controls."""

import pytest
import torch

from voxnas.arch.families import expand
from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import choose_winner, is_searched
from voxnas.benchmark.prune import prune_networks
from voxnas.core.errors import UserError
from voxnas.core.settings import PruneSettings
from voxnas.core.spec import PruneSpec
from voxnas.io.records import read_json, write_json
from voxnas.io.weights import save_weights
from voxnas.nn.build import build_network


@pytest.fixture
def study(fake_segmentation):
    """A study whose winner has weights."""
    winner = results.finalists(fake_segmentation)[0]
    for seed in results.seed_results(fake_segmentation, winner.key):
        torch.manual_seed(seed)
        file = fake_segmentation.seed(winner.key, seed) / "weights.safetensors"
        save_weights(file, build_network(winner.architecture).state_dict())
    return fake_segmentation


def prune(study, **changes):
    return prune_networks(study, PruneSpec(stage="prune", version=1, prune=PruneSettings(**changes)))


def parameters(network):
    return sum(p.numel() for p in build_network(network.architecture).parameters())


@pytest.mark.parametrize("criterion", ["magnitude", "random"])
def test_each_level_is_a_narrower_winner_beside_a_control_of_equal_cost(study, criterion):
    winner = results.finalists(study)[0]
    half, control, quarter, _ = prune(study, criterion=criterion)
    names = ["bayesian-1-pruned-50", "bayesian-1-scratch-50", "bayesian-1-pruned-25"]
    assert [n.name for n in (half, control, quarter)] == names
    assert 0.3 * parameters(winner) < parameters(half) <= 0.5 * parameters(winner)
    assert parameters(quarter) <= 0.25 * parameters(winner)
    assert control.architecture == half.architecture and control.derivation is None
    assert (half.derivation.start.source, half.derivation.start.criterion) == (winner.key, criterion)
    assert half.derivation.teacher.sources == (winner.key,) and not half.derivation.refit
    assert half.samples == 50 < control.samples - winner.samples
    assert half.recipe.learning_rate == pytest.approx(0.3 * winner.recipe.learning_rate)
    assert control.recipe == winner.recipe
    assert [n.id for n in expand(half.architecture).nodes] == [n.id for n in expand(winner.architecture).nodes]


def test_the_key_contains_the_derivation(study):
    found = [
        prune(study, levels=(0.5,), scratch=False, **changes)[0] for changes in ({}, {"teacher": 0}, {"longer": 2})
    ]
    keys = [network.key for network in found]
    assert keys[0] == keys[2] != keys[1] and found[1].derivation.teacher is None


def test_pruned_networks_follow_the_finalists_and_are_never_chosen(study):
    write_json(study.pruned, {"networks": [network.plain() for network in prune(study)]})
    file = study.spec("benchmark")
    write_json(file, read_json(file) | {"prunes": True})
    found = results.networks(study)
    assert [n.source for n in found[-4:]] == ["pruned", "scratch"] * 2
    assert not any(is_searched(n.source) for n in found[-4:])
    baselines = [n for n in found if not is_searched(n.source)]
    scores = {n.name: 0.9 if n.source in ("pruned", "scratch") else 0.1 for n in found}
    assert choose_winner(found, scores, 1).name == "bayesian-1" and choose_winner(baselines, scores, 1).name == "small"


def test_a_level_out_of_reach_is_refused(study):
    with pytest.raises(UserError, match="pruning reaches a cost of"):
        prune(study, levels=(0.001,))
