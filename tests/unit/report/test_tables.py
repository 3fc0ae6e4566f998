import math

import pytest

from voxnas.report.tables import cost, duration, flatten, interval, number, p_statement, p_value, quantity, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [(42, "42"), (561_234, "561 k"), (999_950, "1 M"), (1_234_567, "1.23 M"), (2.5e9, "2.5 G"), (0, "0")],
)  # fmt: skip
def test_quantity(value, text):
    assert quantity(value).replace("\u00a0", " ") == text


@pytest.mark.parametrize(("value", "text"), [(42, "42 s"), (600, "10 min"), (9000, "2.5 h")])
def test_duration(value, text):
    assert duration(value).replace("\u00a0", " ") == text


def test_numbers():
    assert quantity(math.nan) == "\u2013"
    assert number(0.87349, 4) == "0.8735" and number(None, 2) == "\u2013"
    assert signed(-0.01, 2) == "\u22120.01" and signed(0.01, 2) == "+0.01"
    assert cost(math.nan, 1200, 60).endswith("samples") and cost(60, 1200, 50) == "60\u00a0s [50\u00a0s]"
    assert cost(60, 1200) == "60\u00a0s" and cost(60, 0) == "\u2013"


def test_small_p_values_are_bounds():
    assert [p_value(p) for p in (0.0312, 0.0004, math.nan)] == ["0.031", "< 0.001", "\u2013"]
    assert [p_statement(p) for p in (0.0312, 0.0004)] == ["p = 0.031", "p < 0.001"]


def test_an_interval_that_is_missing_leaves_no_bracket():
    assert interval(0.1, 0.25, 2) == " [0.10, 0.25]" and interval(-0.1, 0.1, 1, sign=True) == " [\u22120.1, +0.1]"
    assert interval(math.nan, math.nan, 2) == ""


def test_flatten():
    assert flatten({"a": {"b": 1, "c": [1, 2]}, "d": None}) == {"a.b": "1", "a.c": "1, 2", "d": "None"}
    assert flatten({"a": [{"b": 1}, {"b": 2}]}) == {"a.0.b": "1", "a.1.b": "2"}
