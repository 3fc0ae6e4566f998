"""Placement by predicted time: what ends first, and small networks on processors."""

import random

import pytest
from plans import calibration, measured_network, staged

from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.linear import Linear
from voxnas.complexity.placement import Worker, earliest_end, trial_seconds

PATCH = [16, 16, 16]
NETWORK = CNN(**staged([8, 16]))


def device(start=2.0, wall=1.0):
    """Measurements in which the network takes 0.25 s a sample."""
    return calibration(table=measured_network(NETWORK, PATCH, 0.25), start_seconds=start, wall_factor=wall)


def test_time_of_a_trial_by_hand():
    assert trial_seconds(device(start=3.0, wall=2.0), NETWORK, PATCH, 10) == 3.0 + 2.0 * 0.25 * 10
    assert Worker("cpu", 8.0, device(start=3.0, wall=2.0)).fits(NETWORK, PATCH, 10)
    assert not Worker("cpu", 7.9, device(start=3.0, wall=2.0)).fits(NETWORK, PATCH, 10)


def test_a_linear_model_takes_its_start():
    linear = Linear(model="ridge", view="series", in_channels=1, out_channels=2)
    assert trial_seconds(device(start=3.0), linear, PATCH, 10) == 3.0


BY_HAND = {
    "nothing": ([], {"a": 1}, None, []),
    "the faster": ([{"a": 2, "b": 1}], {"a": 1, "b": 1}, None, ["b"]),
    "the first of equals": ([{"b": 1, "a": 1}], {"a": 1, "b": 1}, None, ["a"]),
    "the slower where it is free": ([{"a": 1.5, "b": 1}] * 3, {"a": 1, "b": 1}, None, ["b", "a", "b"]),
    "two slots": ([{"a": 1.5, "b": 1}] * 3, {"a": 1, "b": 2}, None, ["b", "b", "a"]),
    "one after the other": ([{"a": 1.5, "b": 1}] * 3, {"a": 1, "b": 1}, 1, ["b", "b", "b"]),
    "only where it can run": ([{"a": 9}, {"b": 9}], {"a": 1, "b": 1}, None, ["a", "b"]),
    "waits for the GPU": ([{"a": 1, "b": 0.5}, {"a": 90, "b": 2}], {"a": 1, "b": 1}, None, ["b", "b"]),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_who_ends_first_by_hand(case):
    times, slots, window, wanted = BY_HAND[case]
    assert earliest_end(times, slots, window) == wanted


def makespan(times, slots, kinds):
    """Seconds until all have ended, each node taking its own in order."""
    free = {kind: [0.0] * count for kind, count in slots.items()}
    for seconds, kind in zip(times, kinds, strict=True):
        node = free[kind].index(min(free[kind]))
        free[kind][node] += seconds[kind]
    return max(max(ends) for ends in free.values())


def test_small_networks_fill_processors_and_large_ones_take_gpus():
    """Eight processors, on which a step takes 2 to 200 times as long; a GPU starts slowly."""
    rng = random.Random(0)
    costs = sorted(10 ** rng.uniform(0, 2) for _ in range(200))
    rng.shuffle(costs)
    times = [{"cpu": 2 + 4 * cost, "gpu": 8 + 0.2 * cost} for cost in costs]
    slots = {"cpu": 8, "gpu": 1}
    kinds = earliest_end(times, slots)
    on = {kind: sorted(c for c, k in zip(costs, kinds, strict=True) if k == kind) for kind in slots}
    assert len(on["cpu"]) > 0.5 * len(costs)
    assert on["cpu"][len(on["cpu"]) // 2] < 0.4 * on["gpu"][len(on["gpu"]) // 2]
    drawn = [rng.choices(list(slots), list(slots.values()))[0] for _ in costs]
    assert makespan(times, slots, kinds) < 0.5 * makespan(times, slots, drawn)
    assert makespan(times, slots, kinds) < 0.5 * makespan(times, slots, ["gpu"] * len(costs))


def test_two_thirds_of_the_work_for_a_node_of_twice_the_speed():
    kinds = earliest_end([{"fast": 1.0, "slow": 2.0}] * 300, {"fast": 1, "slow": 1})
    assert kinds.count("fast") == 200
