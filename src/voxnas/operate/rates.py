"""Expected cost of the remaining trainings, estimated from the finished ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from voxnas.core.settings import Budget


class Trained(NamedTuple):
    """Cost of a finished training; `search` is empty for a final training."""

    search: str
    key: str
    samples: int
    cpu_seconds: float


class Rates:
    """CPU seconds of the remaining trainings.

    A step of a search is expected to cost the mean of the search's finished steps, else the mean of all steps. A final
    training is expected to cost its samples at the rate of the same network, else at the mean rate. Before any training
    has finished, a budget in CPU seconds is the estimate, and a budget in samples gives none.

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
        """CPU seconds of one step of a search; None if unknown."""
        known = self._steps.get(search) or [seconds for steps in self._steps.values() for seconds in steps]
        return sum(known) / len(known) if known else _cpu_seconds_of(budget)

    def network(self, key: str, samples: int | None, budget: Budget | None) -> float | None:
        """CPU seconds of one final training; None if unknown.

        Parameters
        ----------
        key : str
            Key of the network; empty before the selection.
        samples : int or None
            Samples of the training, if known.
        budget : Budget or None
            ``training.budget``.
        """
        rate = _rate(self._networks.get(key) or self._all)
        if samples is None and budget is not None and budget.unit == "samples":
            samples = round(budget.amount)
        return _cpu_seconds_of(budget) if rate is None or samples is None else rate * samples

    def samples(self, number: int) -> float:
        """CPU seconds of a number of samples at the mean rate; 0 if unknown."""
        return (_rate(self._all) or 0.0) * number


def _cpu_seconds_of(budget: Budget | None) -> float | None:
    return budget.amount if budget is not None and budget.unit == "cpu_seconds" else None


def _rate(trained: Sequence[Trained]) -> float | None:
    samples = sum(one.samples for one in trained)
    return sum(one.cpu_seconds for one in trained) / samples if samples else None
