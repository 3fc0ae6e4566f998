import pytest

from voxnas.training.schedules import ANYTIME, SCHEDULES, learning_rate_factor


@pytest.mark.parametrize("name", SCHEDULES)
def test_stays_in_the_unit_interval_and_ends_at_zero(name):
    factors = [learning_rate_factor(name, i / 100, 0) for i in range(101)]
    assert all(0 <= f <= 1 for f in factors)
    assert factors[-1] == pytest.approx(0, abs=1e-9)
    assert max(factors) == pytest.approx(1)
    peak = factors.index(max(factors))
    assert peak == (10 if name == "onecycle" else 0)
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


@pytest.mark.parametrize("name", ANYTIME)
def test_anytime_schedules_depend_on_the_steps_alone(name):
    assert learning_rate_factor(name, 0.1, 300) == learning_rate_factor(name, 0.9, 300) == 1
    assert learning_rate_factor(name, 0, 0) == pytest.approx(1 / 25)
    assert learning_rate_factor(name, 0, 1600) == 1


def test_values():
    assert learning_rate_factor("poly", 0.5, 0) == pytest.approx(0.5**0.9)
    assert learning_rate_factor("cosine", 0.5, 0) == pytest.approx(0.5)
    assert learning_rate_factor("onecycle", 0, 0) == pytest.approx(1 / 25)
    assert learning_rate_factor("poly", 1.5, 0) == 0
