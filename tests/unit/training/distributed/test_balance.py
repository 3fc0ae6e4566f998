"""Shares by speed: who computes how much of a batch, and how speed is measured."""

import itertools
import random
import time

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
    """A layer that takes its time, forwards."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seconds = 0.01

    def forward(self, x):
        time.sleep(self.seconds)
        return x * self.weight


def test_a_step_is_timed_until_its_last_gradient_and_seldom():
    backend, network = SingleBackend(), Slow()
    balance = Balance(backend, network)
    news = []
    for step in range(EVERY + SKIPPED + MEASURED + 1):
        slow = SKIPPED <= step < SKIPPED + MEASURED
        network.seconds = 0.02 if slow else 0.0
        balance.begin()
        network(torch.ones(4)).sum().backward()
        if slow:
            time.sleep(0.05)  # waiting for others, which does not count
        if balance.end(4):
            news.append((step, backend.speeds[0]))
    assert [step for step, _ in news] == [SKIPPED + MEASURED - 1, EVERY + SKIPPED + MEASURED - 1]
    assert 100 < news[0][1] <= 200  # 4 samples in at least 0.02 s
    assert news[1][1] > 500
    assert not network.weight._post_accumulate_grad_hooks
