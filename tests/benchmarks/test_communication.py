"""The cost model of an all-reduce, by hand."""

import pytest
from communication import Link, efficiency, fit_link, hierarchical, ring, torus

SLOW, FAST = Link(1e-3, 1e6), Link(1e-4, 1e8)


def test_a_ring_by_hand():
    assert ring(1, 4e6, SLOW) == 0
    assert ring(2, 4e6, SLOW) == pytest.approx(2 * (1e-3 + 2))  # half of it there, half of it back
    assert ring(4, 4e6, SLOW) == pytest.approx(6 * (1e-3 + 1))


def test_steps_and_bytes_of_the_other_ways():
    assert hierarchical(2, 4, 4e6, FAST, SLOW) == pytest.approx(6 * (1e-4 + 1e6 / 1e8) + 2 * (1e-3 + 2))
    assert hierarchical(1, 4, 4e6, FAST, SLOW) == ring(4, 4e6, FAST)
    assert torus(4, 2, 4e6, FAST, SLOW) == pytest.approx(6 * (1e-4 + 1e6 / 1e8) + 2 * (1e-3 + 0.5))
    assert torus(1, 5, 4e6, FAST, SLOW) == ring(5, 4e6, SLOW)


def test_many_small_messages_are_better_on_a_torus():
    assert torus(32, 32, 1e3, SLOW, SLOW) < ring(1024, 1e3, SLOW) / 10


def test_communication_hides_behind_the_backward_pass():
    assert efficiency(3.0, 1.0, 0.0) == 0.75
    assert efficiency(3.0, 2.0, 2 / 3) == 1.0
    assert efficiency(3.0, 3.0, 2 / 3) == 0.75


def test_the_fit_finds_the_link():
    rows = [(p, n) for p in (2, 4) for n in (1e3, 1e5, 1e7)]
    link = fit_link(*zip(*rows, strict=True), [ring(p, n, FAST) for p, n in rows])
    assert (link.latency, link.bandwidth) == pytest.approx((1e-4, 1e8))
