"""Large batches: LARS and LAMB by hand, warm-up, batch-size control and smoothed labels, and when they are on."""

import math

import pytest
import torch
from tiny_training import make_context, run_fit
from torch import nn

from voxnas.core.architecture import Recipe
from voxnas.core.errors import UserError
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.lamb import LAMB
from voxnas.training.lars import LARS
from voxnas.training.losses import cross_entropy, loss_function, soft_dice
from voxnas.training.muon import Muon
from voxnas.training.optimizers import build_optimizer
from voxnas.training.schedules import batch_at, learning_rate_factor


def parameters():
    """A matrix of norm 5 and a vector, both with gradients."""
    matrix, vector = nn.Parameter(torch.tensor([[3.0, 4.0]])), nn.Parameter(torch.tensor([3.0, 4.0]))
    matrix.grad, vector.grad = torch.tensor([[0.6, 0.8]]), torch.tensor([0.6, 0.8])  # norm 1
    return matrix, vector


def test_two_steps_of_lars_by_hand():
    matrix, vector = parameters()
    optimizer = LARS([matrix, vector], lr=0.1, momentum=0.9, weight_decay=0.2, trust=0.5)
    optimizer.step()
    # g + b w = (1.2, 1.6); the matrix: trust |w| / (|g| + b |w|) = 0.5 * 5 / (1 + 0.2 * 5) = 1.25; the vector: 1.
    assert matrix.tolist() == [pytest.approx([3 - 0.15, 4 - 0.2])]
    assert vector.tolist() == pytest.approx([3 - 0.12, 4 - 0.16])
    optimizer.step()
    # |w| = 4.75, so g + b w = (1.17, 1.56) and the rate is 0.5 * 4.75 / (1 + 0.2 * 4.75) = 1.217949
    rate = 0.1 * 0.5 * 4.75 / (1 + 0.2 * 4.75)
    wanted = [2.85 - (0.9 * 0.15 + rate * 1.17), 3.8 - (0.9 * 0.2 + rate * 1.56)]
    assert matrix.tolist() == [pytest.approx(wanted)]


def test_two_steps_of_lamb_by_hand():
    matrix, vector = parameters()
    optimizer = LAMB([matrix, vector], lr=0.1, betas=(0.9, 0.99), eps=0.0, weight_decay=0.2)
    optimizer.step()
    # Adam's first direction is the sign of the gradient: r = (1, 1) + 0.2 (3, 4) = (1.6, 1.8)
    length = math.hypot(1.6, 1.8)
    first = [3 - 0.1 * 5 / length * 1.6, 4 - 0.1 * 5 / length * 1.8]
    assert matrix.tolist() == [pytest.approx(first)]
    assert vector.tolist() == pytest.approx([3 - 0.16, 4 - 0.18])
    matrix.grad = torch.tensor([[-0.6, 0.8]])
    optimizer.step()
    moment = (0.9 * 0.1 * 0.6 - 0.1 * 0.6) / (1 - 0.9**2)  # of the first entry, whose gradient has turned
    direction = [moment / 0.6 + 0.2 * first[0], 1 + 0.2 * first[1]]  # the root of the second moment is |g| itself
    factor = 0.1 * math.hypot(*first) / math.hypot(*direction)
    assert matrix.tolist() == [pytest.approx([w - factor * d for w, d in zip(first, direction, strict=True)], rel=1e-5)]


@pytest.mark.parametrize("optimizer", [LARS, LAMB])
def test_weights_of_zero_are_left_by_a_plain_step(optimizer):
    weight = nn.Parameter(torch.zeros(1, 2))
    weight.grad = torch.ones(1, 2)
    optimizer([weight], lr=0.1).step()
    assert weight.tolist() == [pytest.approx([-0.1, -0.1], rel=1e-4)]


@pytest.mark.parametrize(("name", "kind"), [("sgd", LARS), ("adamw", LAMB), ("muon", Muon)])
def test_layerwise_optimizers_continue_from_a_saved_state(name, kind):
    def fresh():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv3d(2, 4, 3), nn.Conv3d(4, 4, 1))
        return network, build_optimizer(network, Recipe(optimizer=name, learning_rate=0.01), layerwise=True)

    def steps(network, optimizer, first, last):
        for i in range(first, last):
            optimizer.zero_grad()
            network(torch.full((1, 2, 4, 4, 4), float(i))).square().sum().backward()
            optimizer.step()
        return list(network.parameters())

    whole = fresh()
    assert type(whole[1]) is kind
    network, optimizer = fresh()
    steps(network, optimizer, 0, 2)
    again, loaded = fresh()
    again.load_state_dict(network.state_dict())
    loaded.load_state_dict(optimizer.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(steps(*whole, 0, 4), steps(again, loaded, 2, 4), strict=True))


def test_warm_up_is_a_line_up_to_the_schedule():
    plain = [learning_rate_factor("cosine", t / 20, 20) for t in range(21)]
    warm = [learning_rate_factor("cosine", t / 20, 20, warm_up=0.2) for t in range(21)]
    assert warm[4:] == plain[4:]
    rises = [w / p for w, p in zip(warm[:5], plain[:5], strict=True)]
    assert rises == pytest.approx([0.04 + 0.96 * i / 4 for i in range(5)])


def test_the_batch_grows_at_its_shares():
    growth = [[0.25, 1.5], [0.75, 4]]
    assert [batch_at(t / 4, 6, growth) for t in range(5)] == [6, 9, 9, 24, 24]
    assert batch_at(0.9, 6) == 6
    assert batch_at(0.9, 2, [[0.5, 0.1]]) == 1


def test_smoothed_labels():
    logits = torch.randn(3, 4, 2, 2, 2, generator=torch.Generator().manual_seed(1))
    label = torch.ones(3, 2, 2, 2).long()
    logs = logits.log_softmax(1)
    wanted = -(0.9 * logs[:, 1] + 0.1 * logs.mean(1)).flatten(1).mean(1)
    assert torch.allclose(loss_function("ce", 0.1)(logits, label), wanted)
    assert torch.allclose(loss_function("dice_ce", 0.1)(logits, label), wanted + soft_dice(logits, label))
    assert torch.equal(loss_function("ce")(logits, label), cross_entropy(logits, label))
    values = torch.zeros(2, 1)
    assert loss_function("mse", 0.1)(values, torch.ones(2)).tolist() == [1, 1]  # knows no classes


def test_off_unless_the_batch_is_large():
    def training(**settings):
        return stage_spec(parse_settings({"training": settings}), "train").plain()["training"]

    small = training(batch_size=255)
    assert "large_batch" not in small
    assert small == training(batch_size=255, large_batch={"growth": []})
    large = training(batch_size=256)
    assert large["large_batch"] == {"layerwise": True, "warm_up": 0.05, "growth": [[0.34, 2.0]], "label_smoothing": 0.1}
    settings = {"batch_size": 32, "large_batch": {"threshold": 32, "growth": [[0.5, 2], [0.2, 3]]}}
    with pytest.raises(UserError, match=r"large_batch.*must ascend"):
        parse_settings({"training": settings})


def test_a_training_with_a_large_batch_follows_the_recipe(new_study, new_job, tmp_path, monkeypatch):
    """Rates, batches, optimizer and loss of every step, as the loop takes them."""
    paths = new_study(validations=1)
    job = new_job(samples=20, recipe=Recipe(optimizer="sgd", schedule="poly", learning_rate=0.05))
    large = {"layerwise": True, "warm_up": 0.4, "growth": [[0.4, 2.0]], "label_smoothing": 0.3}
    seen = []

    class Recording(SingleBackend):
        def step(self, optimizer, clip_norm, scaler):
            seen.append((type(optimizer), optimizer.param_groups[0]["lr"]))
            super().step(optimizer, clip_norm, scaler)

        def share(self, samples):
            batches.append(len(samples))
            return super().share(samples)

    def train(training):
        seen.clear(), batches.clear()
        context = make_context(tmp_path / f"run-{len(training)}")
        _, outcome = run_fit(paths, job, context, backend=Recording(), **training)
        return outcome.curve[0]["train_loss"], list(seen), batches[:-1:2]  # the last share is of the validation

    batches = []
    plain = {"batch_size": 4}
    loss, steps, sizes = train(plain)
    assert sizes == [4] * 5
    assert {kind for kind, _ in steps} == {torch.optim.SGD}
    smoothed, steps, sizes = train({**plain, "large_batch": large})
    assert sizes == [4, 4, 8, 4]  # 8 samples are 0.4 of 20; the last batch ends at 20
    assert {kind for kind, _ in steps} == {LARS}
    rates = [0.05 * (0.04 + 0.96 * 0) * 1, 0.05 * (0.04 + 0.96 * 0.5) * 0.8**0.9, 0.05 * 0.6**0.9, 0.05 * 0.2**0.9]
    assert [rate for _, rate in steps] == pytest.approx(rates)
    assert smoothed != loss
