"""Which order and which window: utilisation of 1 to 1,024 workers, and loss of search quality.

    python benchmarks/search/scale.py --table DATA/nas_tables/nasbench201.csv.gz --output results/published/search

:mod:`clock` simulates synchronous rounds, strict order and order of arrival. The duration of a step is drawn from a
tenfold range (log-uniform, two minutes on average). A job occupies its worker for `--start` seconds before it trains:
the Snakemake process of the job (1.8 s of processor time), the proposal (1.5 s with a surrogate), and the import of
torch (2.5 s). A finished job is noticed at most `--poll` seconds later.

- `utilisation.tsv`: shares of the time for which workers are held: training, waiting and starting. The last steps, with
  fewer steps than workers, do not count as waiting, and with one worker there is no difference between the orders.
- `staleness.tsv`: evaluations and hours until the best network of NAS-Bench-201 so far is among the best 0.1 % of the
  configurations. The proposer is a small Gaussian process on the six operations (kernel exp(-different operations / 2),
  expected improvement, the constant liar for pending steps, networks equal to a known one excluded). It follows the
  Bayesian strategy of Voxnas, but is hundreds of times faster; `replay.py --workers` runs the strategies themselves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from clock import Enough, Order, durations, simulate
from problem import OPERATIONS, Problem, nasbench201, read_csv
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm

from voxnas.core.seeds import derive_seed
from voxnas.io.tables import write_table
from voxnas.search.surrogate import robust_losses

INITIAL = 8
CONFIGURATIONS: list[tuple[Order, float]] = [
    ("rounds", 1), ("strict", 1), ("strict", 1.5), ("strict", 2), ("strict", 3), ("arrival", 1), ("arrival", 2),
    ("arrival", 3),
]  # fmt: skip


class Networks:
    """The different networks of NAS-Bench-201 in arrays: operations, scores and neighbours."""

    def __init__(self, problem: Problem) -> None:
        configs = {problem.key(c): c for c in problem.feasible.space.enumerate()}
        names = list(OPERATIONS.values())
        edges = [name for name in next(iter(configs.values())) if name.startswith("cell.")]
        self.codes = np.array([[names.index(c[e]) for e in edges] for c in configs.values()])
        self.scores = np.array([problem.truth(c) for c in configs.values()])
        self.goal = problem.top["0.1%"]


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Similarity of networks (N, 6) and (M, 6) by the number of differing operations, (N, M)."""
    return np.exp(-(a[:, None] != b[None]).sum(2) / 2)


def choose(networks: Networks, known: list[int], pending: list[int], taken: set[int], seed: int) -> int:
    """Return the next network, given the networks with known scores, the pending ones and all taken ones."""
    rng = np.random.default_rng(seed)
    free = np.setdiff1d(np.arange(len(networks.codes)), list(taken))
    if len(known) < INITIAL:
        return int(rng.choice(free))
    losses = robust_losses(networks.scores[known].tolist())
    x = networks.codes[known + pending]
    y = np.concatenate([losses, np.zeros(len(pending))])
    factor = cho_factor(kernel(x, x) + 0.05 * np.eye(len(x)))
    best = np.array(known)[np.argsort(losses)[:5]]
    near = free[((networks.codes[free][:, None] != networks.codes[best][None]).sum(2) <= 2).any(1)]
    pool = [rng.choice(some, min(150, len(some)), replace=False) for some in (free, near) if len(some)]
    candidates = np.unique(np.concatenate(pool))
    across = kernel(networks.codes[candidates], x)
    mean = across @ cho_solve(factor, y)
    spread = np.sqrt(np.maximum(1.0 - (across * cho_solve(factor, across.T).T).sum(1), 1e-9))
    z = (losses.min() - mean) / spread
    return int(candidates[np.argmax(spread * (z * norm.cdf(z) + norm.pdf(z)))])


def search(
    networks: Networks, order: Order, window: int, workers: int, limit: int, seed: int, start: float, poll: float
) -> tuple[float, float]:
    """Evaluations and hours until a network of the best 0.1 % is found; infinite beyond `limit` evaluations."""
    picks: dict[int, int] = {}

    def propose(step: int, known: Iterable[int]) -> None:
        seen = sorted(known)
        if any(networks.scores[picks[s]] >= networks.goal for s in seen):
            raise Enough
        pending = [pick for s, pick in picks.items() if s not in set(seen)]
        taken = set(picks.values())
        picks[step] = choose(networks, [picks[s] for s in seen], pending, taken, derive_seed(seed, "step", step))

    course = simulate(order, window, workers, durations(limit, seed), start, poll, propose)
    ended = {s: end for s, end in enumerate(course.ended) if end > 0}
    found = [end for s, end in ended.items() if networks.scores[picks[s]] >= networks.goal]
    if not found:
        return np.inf, np.inf
    return sum(end <= min(found) for end in ended.values()), min(found) / 3600


def utilisation(arguments: argparse.Namespace) -> pd.DataFrame:
    """Shares of the time of the workers, averaged over seeds."""
    rows = []
    for workers in arguments.workers:
        for order, factor in CONFIGURATIONS:
            window, shares = round(factor * workers), []
            for seed in range(arguments.seeds):
                c = simulate(
                    order, window, workers, durations(arguments.rounds * workers, seed), arguments.start, arguments.poll
                )
                shares.append((1 - (c.waiting + c.starting) / c.held, c.waiting / c.held, c.starting / c.held))
            row = {"workers": workers, "order": order, "window": window, "factor": factor}
            rows.append(row | dict(zip(("training", "waiting", "starting"), np.mean(shares, axis=0), strict=True)))
    return pd.DataFrame(rows).round(4)


def staleness(arguments: argparse.Namespace, networks: Networks) -> pd.DataFrame:
    """Evaluations and hours to the best 0.1 %, medians over searches."""
    rows = []
    for workers in arguments.workers:
        for order, factor in CONFIGURATIONS if workers > 1 else [("strict", 1.0)]:
            begin, window = time.time(), round(factor * workers)
            runs = [
                search(networks, order, window, workers, arguments.limit, seed, arguments.start, arguments.poll)
                for seed in range(arguments.searches)
            ]
            counts, hours = np.array(runs).T
            low, high = np.quantile(bootstrap(counts), [0.025, 0.975], method="closest_observation")
            rows.append(
                {
                    "workers": workers, "order": order, "window": window, "evaluations": np.median(counts),
                    "low": low, "high": high, "hours": np.median(hours), "reached": np.isfinite(counts).mean(),
                }
            )  # fmt: skip
            print(f"{order} W = {window}: {np.median(counts):.1f} evaluations, {time.time() - begin:.0f} s", flush=True)
    return pd.DataFrame(rows).round(3)


def bootstrap(values: np.ndarray, samples: int = 10_000) -> np.ndarray:
    """Medians (samples,) of resampled values (S,)."""
    draws = np.random.default_rng(0).choice(values, (samples, len(values)))
    return np.quantile(draws, 0.5, axis=1, method="closest_observation")


def main() -> None:
    """Simulate, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="nasbench201.csv.gz; without it utilisation only")
    parser.add_argument("--output", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024])
    parser.add_argument("--rounds", type=int, default=20, help="steps for each worker")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=3000, help="evaluations of a search at most")
    parser.add_argument("--searches", type=int, default=30)
    parser.add_argument("--start", type=float, default=6.0, help="seconds between allocation and training")
    parser.add_argument("--poll", type=float, default=20.0, help="maximum seconds until a finished job is noticed")
    arguments = parser.parse_args()
    found = utilisation(arguments)
    print(found.to_string(index=False), flush=True)
    write_table(arguments.output / "utilisation.tsv", found)
    if arguments.table:
        stale = staleness(arguments, Networks(nasbench201(read_csv([arguments.table]))))
        print(stale.to_string(index=False))
        write_table(arguments.output / "staleness.tsv", stale)


if __name__ == "__main__":
    main()
