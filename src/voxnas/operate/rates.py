"""What trainings to come are expected to cost, from those that are finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from voxnas.core.settings import Budget


class Trained(NamedTuple):
    """A finished training: the search that it belongs to (none at full budget), and what its samples took."""

    search: str
    key: str
    samples: int
    cpu_seconds: float


class Rates:
    """CPU seconds of trainings to come.

    A step of a search is expected to take the mean of the search's finished steps, else of all steps. A training at
    full budget takes its samples at the rate of the same network in its search, else at the mean rate. Before
    anything is finished a budget in CPU seconds is taken at its word, and of one in samples nothing is known.

    Parameters
    ----------
    trained : sequence of Trained
    """

    def __init__(self, trained: Sequence[Trained]) -> None:
        self._all = trained
        self._steps: dict[str, list[float]] = defaultdict(list)
        self._networks: dict[str, list[Trained]] = defaultdict(list)
        for one in trained:
            self._networks[one.key].append(one)
            if one.search:
                self._steps[one.search].append(one.cpu_seconds)

    def step(self, search: str, budget: Budget | None) -> float | None:
        """CPU seconds of one step of a search; None where nothing tells."""
        known = self._steps.get(search) or [seconds for steps in self._steps.values() for seconds in steps]
        return sum(known) / len(known) if known else _at_its_word(budget)

    def network(self, key: str, samples: int | None, budget: Budget | None) -> float | None:
        """CPU seconds of one training at full budget; None where nothing tells.

        Parameters
        ----------
        key : str
            Of the network; empty for one that is not chosen yet.
        samples : int or None
            What the budget buys, where that is known.
        budget : Budget or None
            ``training.budget``.
        """
        rate = _rate(self._networks.get(key) or self._all)
        if samples is None and budget is not None and budget.unit == "samples":
            samples = round(budget.amount)
        return _at_its_word(budget) if rate is None or samples is None else rate * samples

    def samples(self, number: int) -> float:
        """CPU seconds of some samples at the mean rate; 0 where it is not known."""
        return (_rate(self._all) or 0.0) * number


def _at_its_word(budget: Budget | None) -> float | None:
    return budget.amount if budget is not None and budget.unit == "cpu_seconds" else None


def _rate(trained: Sequence[Trained]) -> float | None:
    samples = sum(one.samples for one in trained)
    return sum(one.cpu_seconds for one in trained) / samples if samples else None
