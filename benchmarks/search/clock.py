"""A simulated clock: steps of given durations on several workers, in one of three orders.

- `rounds`: `window` steps are proposed together when all steps of the round before are noticed.
- `strict`: step k is proposed when result k-W is noticed and k-1 is proposed, from the results 0 .. k-W.
- `arrival`: step k is submitted when result k-W is noticed, and proposed when a worker takes it, from all results
  available then (:mod:`voxnas.search.arrival`).

A job occupies its worker for some seconds before it trains. A finished job is noticed some seconds later, and only then
are its successors submitted. A worker is idle while it is allocated without training, between its first step and the
moment when no step waits: `waiting` for a step that may begin, or `starting`.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from voxnas.core.seeds import derive_seed

Order: TypeAlias = Literal["rounds", "strict", "arrival"]
Propose: TypeAlias = Callable[[int, Iterable[int]], None]

MEAN_SECONDS, SPREAD = 120.0, 10.0


class Enough(Exception):
    """Raised by `propose` to end a simulation."""


@dataclass
class Course:
    """Start and end of each step in s, and the seconds for which workers were held, waiting and starting."""

    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    waiting: float = 0.0
    starting: float = 0.0
    held: float = 0.0


def durations(steps: int, seed: int, mean: float = MEAN_SECONDS, spread: float = SPREAD) -> list[float]:
    """Draw the duration of each step in s, log-uniform between limits of the ratio `spread`."""
    if spread == 1:
        return [mean] * steps
    low = mean * np.log(spread) / (spread - 1)
    return (low * spread ** np.random.default_rng(derive_seed(seed, "durations")).random(steps)).tolist()


def simulate(
    order: Order,
    window: int,
    workers: int,
    seconds: Sequence[float],
    start: float = 0.0,
    poll: float = 0.0,
    propose: Propose = lambda step, known: None,
) -> Course:
    """Run steps on workers.

    Parameters
    ----------
    order : {"rounds", "strict", "arrival"}
    window, workers : int
        W, and the number of concurrent steps.
    seconds : sequence of float
        Training time of each step, read after its proposal.
    start, poll : float
        Seconds between the assignment of a job and its training; maximum delay before a finished job is noticed.
    propose : callable
        Called with the number of a step and the steps with known results when the step is proposed. If it raises
        :class:`Enough`, no further step begins.
    """
    steps = len(seconds)
    course = Course([0.0] * steps, [0.0] * steps)
    events: list[tuple[float, int, str]] = []  # time, step, what
    noticed: set[int] = set()
    queue: deque[int] = deque()
    finished: dict[int, None] = {}
    proposed = 0
    free = deque([0.0] * workers)  # time since which each free worker is free
    rng = np.random.default_rng(0)

    def released() -> bool:
        if order == "rounds":
            return len(noticed) >= proposed - proposed % window
        return proposed < window or proposed - window in noticed

    def submit(after: int) -> None:
        """Queue the released steps; in order of arrival a step does not wait for the proposal of the one before."""
        nonlocal proposed
        if order == "arrival":
            queue.extend([after] if after < steps else [])
            return
        while proposed < steps and released():
            first = proposed - proposed % window if order == "rounds" else max(0, proposed - window + 1)
            propose(proposed, range(first))
            queue.append(proposed)
            proposed += 1

    now = 0.0
    try:
        for step in range(min(window, steps) if order == "arrival" else 1):
            submit(step)
        while True:
            while queue and free:
                step, since = queue.popleft(), free.popleft()
                if order == "arrival":
                    propose(step, finished)
                course.waiting += now - since
                course.starting += start
                course.held += now - since + start + seconds[step]
                course.begun[step] = now
                heapq.heappush(events, (now + start + seconds[step], step, "end"))
            if not events:
                return course
            now, step, what = heapq.heappop(events)
            if what == "end":
                course.ended[step] = now
                finished[step] = None
                free.append(now)
                heapq.heappush(events, (now + poll * rng.random(), step, "notice"))
            else:
                noticed.add(step)
                submit(step + window)
    except Enough:
        return course
