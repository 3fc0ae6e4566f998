"""Shares by speed: who computes how much of a batch, and how speed is measured."""

import itertools
import random

import pytest
import torch
from torch import nn

from voxnas.training.distributed.balance import EVERY, MEASURED, SKIPPED, Balance
from voxnas.training.distributed.shares import split_by_speed
from voxnas.training.distributed.single import SingleBackend


@pytest.mark.parametrize(
    ("samples", "speeds", "wanted"),
    [
        (6, [1, 1], [3, 3]),
        (6, [2, 1], [4, 2]),
        (4, [2, 1], [3, 1]),
        (3, [1, 1], [1, 2]),
        (5, [1, 1, 1, 1], [1, 1, 1, 2]),
        (1, [1, 3], [0, 1]),
        (2, [1, 100], [0, 2]),
        (0, [1, 2], [0, 0]),
    ],
)
def test_shares(samples, speeds, wanted):
    assert split_by_speed(samples, speeds) == wanted


def test_no_other_shares_are_done_earlier():
    rng = random.Random(0)
    for _ in range(100):
        samples, speeds = rng.randint(1, 7), [rng.uniform(0.2, 3) for _ in range(3)]

        def finish(shares, speeds=speeds):
            return max(n / v for n, v in zip(shares, speeds, strict=True))

        found = split_by_speed(samples, speeds)
        assert sum(found) == samples
        every = itertools.product(range(samples + 1), repeat=3)
        assert finish(found) <= min(finish(s) for s in every if sum(s) == samples) + 1e-9


class Slow(nn.Module):
    """A layer whose forward pass takes 0.02 s on a clock that only it and the test advance."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.clock = self.seconds = 0.0

    def forward(self, x):
        self.clock += self.seconds
        return x * self.weight


def test_a_step_is_timed_until_its_last_gradient_and_seldom(monkeypatch):
    backend, network = SingleBackend(), Slow()
    monkeypatch.setattr(Balance, "_now", lambda self: network.clock)
    balance = Balance(backend, network)
    news = []
    for step in range(EVERY + SKIPPED + MEASURED + 1):
        slow = SKIPPED <= step < SKIPPED + MEASURED
        network.seconds = 0.02 if slow else 0.005
        balance.begin()
        network(torch.ones(4)).sum().backward()
        network.clock += 0.05  # waiting for others, which does not count
        if balance.end(4):
            news.append((step, backend.speeds[0]))
    assert [step for step, _ in news] == [SKIPPED + MEASURED - 1, EVERY + SKIPPED + MEASURED - 1]
    assert [speed for _, speed in news] == pytest.approx([4 / 0.02, 4 / 0.005])
    assert not network.weight._post_accumulate_grad_hooks
