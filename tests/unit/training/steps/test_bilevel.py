"""Alphas that choose between a network and noise, while the weights of the network learn."""

import dataclasses

import pytest
import torch
from tiny_training import make_context, run_fit, write_folds
from torch import nn

from voxnas.core.architecture import Recipe
from voxnas.core.errors import UserError
from voxnas.core.training import Supernet


class Mixed(nn.Module):
    """The sum of a network's logits and of noise, weighted by a softmax of two alphas."""

    other = staticmethod(lambda logits: 5 * torch.randn_like(logits))

    def __init__(self, network):
        super().__init__()
        self.network, self.alphas = network, nn.Parameter(torch.zeros(2))

    def forward(self, x):
        weights, logits = self.alphas.softmax(0), self.network(x)
        return weights[0] * logits + weights[1] * self.other(logits)


class Quiet(Mixed):
    """Mixes with a constant, since parts of a batch draw other noise than the whole."""

    other = staticmethod(torch.ones_like)


@pytest.fixture
def supernet_study(new_study):
    """A study of three folds: to validate, for the alphas, for the weights."""
    paths = new_study("classification", scans=10)
    write_folds(paths, 2, 5)
    return paths


def supernet(new_job, samples, **changes):
    job = new_job("classification", samples, Supernet, alpha_folds=(1,), alpha_learning_rate=0.05)
    architecture = job.architecture.model_copy(update={"dropout": 0.0})
    recipe = Recipe(loss="ce", spatial=0, intensity=0)
    return job.model_copy(update={"architecture": architecture, "recipe": recipe, **changes})


def test_alphas_and_weights_both_learn(supernet_study, new_job, tmp_path):
    start = {}

    def mix(network):
        start.update({name: p.detach().clone() for name, p in network.named_parameters()})
        return Mixed(network)

    network, outcome = run_fit(supernet_study, supernet(new_job, 80), make_context(tmp_path / "a"), mix)
    assert outcome.state == "DONE"
    assert network.alphas[0] > network.alphas[1] + 0.2
    assert all(not torch.equal(p, start[name]) for name, p in network.network.named_parameters())


def test_interrupted_and_resumed_is_bit_identical(supernet_study, new_job, tmp_path):
    job, stops = supernet(new_job, 12), iter([False, False, True])
    whole, at_once = run_fit(supernet_study, job, make_context(tmp_path / "a"), Mixed)
    context = make_context(tmp_path / "b", should_stop=lambda: next(stops))
    assert run_fit(supernet_study, job, context, Mixed)[1].state == "INTERRUPTED"
    resumed, outcome = run_fit(supernet_study, job, make_context(tmp_path / "b"), Mixed)
    assert dataclasses.replace(outcome, resumed_from=0) == at_once
    assert all(torch.equal(a, resumed.state_dict()[name]) for name, a in whole.state_dict().items())


def test_alphas_learn_alike_in_parts_and_in_half_precision(supernet_study, new_job, tmp_path):
    def alphas(name, precision, **options):
        context = make_context(tmp_path / name, **options)
        return run_fit(supernet_study, supernet(new_job, 8), context, Quiet, precision=precision)[0].alphas

    whole = alphas("a", "float32")
    assert whole.abs().max() > 0.01
    torch.testing.assert_close(alphas("b", "float32", micro_batch=1), whole, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(alphas("c", "fp16"), whole, rtol=0.1, atol=0.02)


def test_networks_without_alphas_and_folds_without_scans_are_refused(supernet_study, new_job, tmp_path):
    with pytest.raises(UserError, match="has no alphas"):
        run_fit(supernet_study, supernet(new_job, 8), make_context(tmp_path / "a"))
    with pytest.raises(UserError, match="leave the weights no scan"):
        run_fit(supernet_study, supernet(new_job, 8, alpha_folds=(1, 2)), make_context(tmp_path / "b"))
