"""Strict order and order of arrival: occupancy of the workers, and cost of proposals from fewer results.

    python benchmarks/order.py --tables DATA/nas_tables --output results/published/order     3 minutes on one core

A discrete-event simulation of K steps on several workers. The duration of a step is drawn from a tenfold range
(log-uniform, two minutes on average). A job occupies its worker for `--start` seconds before it trains. A finished
job is noticed at most `--poll` seconds later, and only then are its successors submitted. Strict order: step k is
proposed when result k-W is noticed and k-1 is proposed, from the results 0 .. k-W. Order of arrival: step k is
submitted when result k-W is noticed, and proposed when a worker takes it, from all available results.

A worker is idle while it is allocated without training, between the first step and the moment when no step waits:
`waiting` for a step that may begin, or `starting`: the Snakemake process of the job (1.8 s of processor time),
the proposal (1.5 s with a surrogate), and the import of torch (2.5 s).

With `--tables` each step trains one of the 15,625 networks of NAS-Bench-201 (Dong and Yang 2020): its score is the
validation accuracy on CIFAR-10 after 12 epochs, its value the test accuracy after 200. The proposer is a small Gaussian
process on the six operations (kernel exp(-different operations / 2), expected improvement, the constant liar for
pending steps). It follows the Bayesian strategy of Voxnas, but is hundreds of times faster. Regret is the value of the
best network minus the value of the network with the best score so far.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm

from voxnas.core.seeds import derive_seed
from voxnas.io.tables import write_table
from voxnas.search.surrogate import robust_losses

MEAN_SECONDS, SPREAD = 120.0, 10.0
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
INITIAL = 8
REACH = 1.0  # regret, in points of accuracy


@dataclass
class Course:
    """Start and end of each step, and the results known to each proposal."""

    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    waiting: float = 0.0
    starting: float = 0.0
    held: float = 0.0


def durations(steps: int, seed: int) -> np.ndarray:
    """Draw the duration of each step, in s."""
    low = MEAN_SECONDS * np.log(SPREAD) / (SPREAD - 1)
    return low * SPREAD ** np.random.default_rng(derive_seed(seed, "durations")).random(steps)


def simulate(
    order: str,
    window: int,
    workers: int,
    seconds: Sequence[float],
    start: float,
    poll: float,
    propose: Callable[[int, list[int]], None] = lambda step, known: None,
) -> Course:
    """Run steps on workers.

    Parameters
    ----------
    order : {"strict", "arrival"}
    window, workers : int
        W, and the number of concurrent steps.
    seconds : sequence of float
        Training time of each step.
    start, poll : float
        Seconds between the assignment of a job and its training; maximum delay before a finished job is noticed.
    propose : callable
        Called with the number of a step and the steps with known results when the step is proposed.
    """
    steps = len(seconds)
    course = Course([0.0] * steps, [0.0] * steps)
    events: list[tuple[float, int, str, int]] = []  # time, tie-breaker, event, step

    def add(time: float, what: str, step: int) -> None:
        heapq.heappush(events, (time, step, what, step))

    noticed: set[int] = set()
    queue: list[int] = []
    finished: list[int] = []
    proposed = 0
    free = [0.0] * workers  # time since which each free worker is free
    rng = np.random.default_rng(0)

    def submit(released: int) -> None:
        """Queue the released steps; in strict order each proposal waits for the previous one."""
        nonlocal proposed
        if order == "arrival":
            queue.extend([released] if released < steps else [])
            return
        while proposed < steps and (proposed < window or proposed - window in noticed):
            propose(proposed, list(range(max(0, proposed - window + 1))))
            queue.append(proposed)
            proposed += 1

    for step in range(min(window, steps) if order == "arrival" else 1):
        submit(step)
    now = 0.0
    while True:
        while queue and free:
            step, since = queue.pop(0), free.pop(0)
            if order == "arrival":
                propose(step, sorted(finished))
            course.waiting += now - since
            course.starting += start
            course.held += now - since + start + seconds[step]
            course.begun[step] = now
            add(now + start + seconds[step], "end", step)
        if not events:
            return course
        now, _, what, step = heapq.heappop(events)
        if what == "end":
            course.ended[step] = now
            finished.append(step)
            free.append(now)
            add(now + poll * rng.random(), "notice", step)
        else:
            noticed.add(step)
            submit(step + window)


class Table:
    """NAS-Bench-201 as a search space."""

    def __init__(self, folder: Path) -> None:
        with gzip.open(folder / "nasbench201.csv.gz", "rt") as file:
            table = pd.read_csv(file)
        names = table.arch_str.str.replace("+", "", regex=False).str.strip("|").str.split(r"\|+", regex=True)
        self.codes = np.array([[OPERATIONS.index(n.split("~")[0]) for n in row] for row in names])
        self.number = {tuple(code): i for i, code in enumerate(self.codes.tolist())}
        self.score = table.cifar10_val_acc_12ep.to_numpy()
        self.worth = table.cifar10_test_acc_200ep.to_numpy()


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Similarity of networks by the number of differing operations."""
    return np.exp(-(a[:, None] != b[None]).sum(2) / 2)


def choose(table: Table, known: list[int], pending: list[int], taken: set[int], seed: int) -> int:
    """The next network, given the networks with known scores and the pending networks."""
    rng = np.random.default_rng(seed)
    if len(known) < INITIAL:
        while (pick := int(rng.integers(len(table.codes)))) in taken:
            pass
        return pick
    losses = robust_losses(table.score[known].tolist())
    x = table.codes[known + pending]
    y = np.concatenate([losses, np.zeros(len(pending))])
    factor = cho_factor(kernel(x, x) + 0.05 * np.eye(len(x)))
    best = [known[i] for i in np.argsort(losses)[:5]]
    found = set(rng.integers(len(table.codes), size=150).tolist())
    for parent in best:
        for count in rng.integers(1, 4, size=30):
            code = table.codes[parent].copy()
            code[rng.choice(6, size=count, replace=False)] = rng.integers(5, size=count)
            found.add(table.number[tuple(code.tolist())])
    candidates = np.array(sorted(found - taken))
    across = kernel(table.codes[candidates], x)
    mean = across @ cho_solve(factor, y)
    spread = np.sqrt(np.maximum(1.0 - (across * cho_solve(factor, across.T).T).sum(1), 1e-9))
    z = (losses.min() - mean) / spread
    return int(candidates[np.argmax(spread * (z * norm.cdf(z) + norm.pdf(z)))])


def search(table: Table, order: str, window: int, workers: int, steps: int, seed: int, start: float, poll: float):
    """Evaluations and hours to a small regret (None: not reached), and the final regret."""
    picks: dict[int, int] = {}

    def propose(step: int, known: list[int]) -> None:
        pending = [pick for s, pick in picks.items() if s not in set(known)]
        taken = set(picks.values())
        picks[step] = choose(table, [picks[s] for s in known], pending, taken, derive_seed(seed, "step", step))

    course = simulate(order, window, workers, durations(steps, seed), start, poll, propose)
    best, regret, reached = -np.inf, np.inf, (None, None)
    for count, step in enumerate(np.argsort(course.ended), start=1):
        pick = picks[int(step)]
        if table.score[pick] > best:
            best, regret = table.score[pick], table.worth.max() - table.worth[pick]
        if regret <= REACH and reached[0] is None:
            reached = (count, course.ended[int(step)] / 3600)
    return *reached, regret


CONFIGURATIONS = [(order, factor) for order in ("strict", "arrival") for factor in (1, 2, 3)]


def occupancy(arguments: argparse.Namespace) -> pd.DataFrame:
    """Idle shares, averaged over seeds."""
    rows = []
    for workers in arguments.workers:
        for order, factor in CONFIGURATIONS:
            shares = []
            for seed in range(arguments.seeds):
                seconds = durations(arguments.steps, seed)
                c = simulate(order, factor * workers, workers, seconds, arguments.start, arguments.poll)
                shares.append((c.waiting / c.held, c.starting / c.held))
            waiting, starting = np.mean(shares, axis=0)
            rows.append(
                {
                    "workers": workers, "order": order, "window": factor * workers, "waiting": waiting,
                    "starting": starting, "idle": waiting + starting,
                }
            )  # fmt: skip
    return pd.DataFrame(rows).round(4)


def staleness(arguments: argparse.Namespace, table: Table) -> pd.DataFrame:
    """Evaluations and hours to a small regret, over seeds."""
    rows = []
    workers = arguments.search_workers
    for n, order, window in [(1, "strict", 1), *((workers, order, f * workers) for order, f in CONFIGURATIONS)]:
        runs = [
            search(table, order, window, n, arguments.evaluations, seed, arguments.start, arguments.poll)
            for seed in range(arguments.searches)
        ]
        counts = [arguments.evaluations if count is None else count for count, _, _ in runs]
        hours = [np.inf if time is None else time for _, time, _ in runs]
        rows.append(
            {
                "workers": n, "order": order, "window": window,
                "evaluations_mean": np.mean(counts), "evaluations_se": np.std(counts) / len(counts) ** 0.5,
                "evaluations_median": np.median(counts), "hours_median": np.median(hours),
                "reached": np.mean([count is not None for count, _, _ in runs]),
                "final_regret": np.mean([regret for _, _, regret in runs]),
            }
        )  # fmt: skip
        print(f"{order} W = {window}, {n} workers: {rows[-1]['evaluations_mean']:.1f} evaluations", flush=True)
    return pd.DataFrame(rows).round(3)


def main() -> None:
    """Simulate, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, help="folder with nasbench201.csv.gz")
    parser.add_argument("--output", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--search-workers", type=int, default=16)
    parser.add_argument("--evaluations", type=int, default=120)
    parser.add_argument("--searches", type=int, default=30)
    parser.add_argument("--start", type=float, default=6.0, help="seconds between allocation and training")
    parser.add_argument("--poll", type=float, default=20.0, help="maximum seconds until a finished job is noticed")
    arguments = parser.parse_args()
    idle = occupancy(arguments)
    print(idle.to_string(index=False), flush=True)
    write_table(arguments.output / "occupancy.tsv", idle)
    if arguments.tables:
        stale = staleness(arguments, Table(arguments.tables))
        print(stale.to_string(index=False))
        write_table(arguments.output / "staleness.tsv", stale)


if __name__ == "__main__":
    main()
