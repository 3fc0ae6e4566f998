"""Trainings of real supernets: samples, order, penalties against planted collapses, and their curve."""

import dataclasses

import pytest
import torch
from tiny_training import make_context, run_fit, write_folds

from voxnas.arch.families.supernet import MixedCells
from voxnas.core.architecture import Recipe
from voxnas.core.training import Supernet
from voxnas.nn.build import build_network
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.gradients import Gradients
from voxnas.training.steps.alphas import Penalties, find_alphas, named_weights, skip_share
from voxnas.training.steps.bilevel import Bilevel

OPERATIONS = ("plain", "separable", "skip", "zero")
CELLS = {"in_channels": 1, "out_channels": 2, "widths": [2, 4], "strides": [[1, 1, 1], [2, 2, 2]]}
CELLS |= {"kernels": [[3, 3, 3]] * 2, "cells": 1, "decoder": True, "nodes": 2, "operations": OPERATIONS}
SAMPLED = {"relaxation": "gumbel", "operations": 2, "edges": 1}


@pytest.fixture
def supernet_study(new_study):
    """A study of three folds: to validate, for the alphas, for the weights."""
    paths = new_study("segmentation", scans=8)
    write_folds(paths, 2, 4)
    return paths


def supernet(samples=12, **changes):
    fields = {"recipe": Recipe(loss="dice_ce", spatial=0, intensity=0), "fold": 0, "seed": 3, "samples": samples}
    fields |= {"alpha_folds": (1,), "alpha_learning_rate": 0.05}
    return Supernet(architecture=MixedCells(**CELLS), **{**fields, **changes})


AVERAGED = {"recipe": Recipe(optimizer="muon", schedule="constant", averaging=0.3, spatial=0, intensity=0), **SAMPLED}


@pytest.mark.parametrize(
    "changes", [{}, {"order": 2}, SAMPLED, {**SAMPLED, "relaxation": "straight_through"}, AVERAGED], ids=str
)
def test_interrupted_and_resumed_is_bit_identical(supernet_study, changes, tmp_path):
    job, stops = supernet(**changes), iter([False, False, True])
    whole, at_once = run_fit(supernet_study, job, make_context(tmp_path / "a"))
    context = make_context(tmp_path / "b", should_stop=lambda: next(stops))
    assert run_fit(supernet_study, job, context)[1].state == "INTERRUPTED"
    resumed, outcome = run_fit(supernet_study, job, make_context(tmp_path / "b"))
    assert dataclasses.replace(outcome, resumed_from=0) == at_once
    assert all(torch.equal(a, resumed.state_dict()[name]) for name, a in whole.state_dict().items())
    assert at_once.curve[0] != at_once.curve[1] and set(named_weights(whole)) < set(at_once.curve[0])


def test_the_alphas_wait_for_the_warm_up_and_for_their_turn(supernet_study, tmp_path):
    def moved(name, **changes):
        start = []
        keep = lambda network: start.extend(p.detach().clone() for p in find_alphas(network))  # noqa: E731
        network, _ = run_fit(supernet_study, supernet(4, **changes), make_context(tmp_path / name), keep)
        return max(float((p - q).abs().max()) for p, q in zip(find_alphas(network), start, strict=True))

    assert moved("a", warm_up=0.9) == 0
    assert 0 < moved("b", alpha_every=2) < moved("c")


def test_the_second_order_gradient_is_that_through_a_step_of_the_weights():
    """Compared with automatic differentiation through the step, in two dimensions, where convolutions are torch's."""
    torch.manual_seed(0)
    flat = {"strides": ((1, 1), (2, 2)), "kernels": ((3, 3),) * 2, "decoder": False, "activation": "silu"}
    job = supernet(order=2, recipe=Recipe(loss="ce", learning_rate=1e-3))
    network = build_network(job.architecture.model_copy(update=flat)).double().train()
    batches = [(torch.randn(3, 1, 6, 6).double(), torch.randint(0, 2, (3,))) for _ in range(2)]

    class Fixed:
        def __init__(self, batch):
            self.given = batch

        def batch(self, samples):
            return self.given

    step = Bilevel("ce", 0.0, network, job, Fixed(batches[0]), Fixed(batches[1]))
    step._let_learn(True)
    compute = Gradients(network, SingleBackend(), torch.amp.GradScaler("cpu", enabled=False), step.loss, "float32")
    found = step._gradients(network, compute, batches[1], [0], 1.0)
    names = {id(p): name for name, p in network.named_parameters()}
    alphas, weights = step.alphas, step.weights
    loss = step.loss(batches[0][0], network(batches[0][0]), batches[0][1])
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    moved = {names[id(p)]: p - 1e-3 * g for p, g in zip(weights, gradients, strict=True)}
    outputs = torch.func.functional_call(network, moved, (batches[1][0],))
    expected = torch.autograd.grad(step.loss(batches[1][0], outputs, batches[1][1]), alphas)
    first = compute.of(alphas, network, *batches[1], 1.0)
    for got, wanted, order_one in zip(found, expected, first, strict=True):
        error, change = (got - wanted).norm(), (order_one - wanted).norm()
        assert error < 0.1 * change or change < 1e-7


def press(network, step, job, rounds=60, **planted):
    """Descend on the penalties and on a planted force on the alphas of an operation; the names of the best."""
    penalties = Penalties(network, job)
    for k in range(rounds):
        forces = penalties.gradients(step.alphas, k / rounds, (1, 1, 8, 8, 8))
        with torch.no_grad():
            for parameter, force in zip(step.alphas, forces, strict=True):
                if parameter.ndim == 2:
                    for name, strength in planted.items():
                        force[:, OPERATIONS.index(name)] -= strength
                parameter -= 0.3 * force
    return {name for mix in network.owned().values() for name in (mix.names[op] for _, op in mix.best())}


@pytest.fixture
def prepared():
    """A supernet, its step, and its job with given switches."""

    def prepare(**changes):
        torch.manual_seed(0)
        job = supernet(**changes)
        network = build_network(job.architecture).train()
        step = Bilevel("dice_ce", 0.0, network, job, None, None)
        step._let_learn(True)
        return network, step, job

    return prepare


def test_beta_decay_holds_a_planted_collapse_to_skips(prepared):
    def skip(**changes):
        network, step, job = prepared(**changes)
        press(network, step, job, skip=0.2)
        return max(v for name, v in named_weights(network).items() if name.endswith("/skip"))

    assert skip() > 0.85
    assert skip(beta_decay=20.0) < 0.5


def test_entropy_makes_undecided_alphas_sparse(prepared):
    def largest(**changes):
        network, step, job = prepared(**changes)
        press(network, step, job, rounds=300, plain=0.002)
        return min(float(mix.alphas.detach().softmax(1).max(1).values.min()) for mix in network.owned().values())

    assert largest() < 0.4
    assert largest(entropy=5.0) > 0.8


def test_the_expected_cost_turns_from_expensive_operations(prepared):
    assert press(*prepared(), plain=0.05) == {"plain"}
    assert "plain" not in press(*prepared(cost=20.0), plain=0.05)


def test_the_alphas_stop_at_the_stated_share_of_skips(supernet_study, tmp_path):
    def share(name, **changes):
        def lean(network):
            with torch.no_grad():
                for mix in network.owned().values():
                    mix.alphas[:, OPERATIONS.index("skip")] += 1.0

        network, outcome = run_fit(supernet_study, supernet(8, **changes), make_context(tmp_path / name), lean)
        assert skip_share(network) > 0.5
        return {name: value for name, value in outcome.curve[0].items() if "/" in name}, named_weights(network)

    first, last = share("a")
    assert first != last
    first, last = share("b", most_skips=0.5)
    assert first == last


def test_an_auxiliary_skip_takes_the_reward_of_skips_from_the_alphas(prepared):
    """A planted target that a skip connection explains: with the auxiliary one its alpha gains less."""

    def pull(weight):
        network, _, job = prepared()
        if weight:
            Penalties(network, job).set_auxiliary(weight)
        mix = network.owned()["normal.0"]
        x = torch.randn(1, 2, 4, 4, 4)
        values = [x if name == "skip" else torch.zeros_like(x) for name in mix.names[: mix.operations]] * 2
        ((mix(*values) - x) ** 2).mean().backward()
        return -float(mix.alphas.grad[:, OPERATIONS.index("skip")].sum())

    assert pull(0.0) > 4 * abs(pull(0.25)) and pull(0.0) > 0


def test_what_needs_all_operations_refuses_samples():
    with pytest.raises(ValueError, match="need the relaxation softmax"):
        supernet(order=2, **SAMPLED)
    with pytest.raises(ValueError, match="need the relaxation softmax"):
        supernet(auxiliary_skip=1.0, **SAMPLED)
