"""Bayesian against random search on a cheap made-up score over the real U-Net space.

    python benchmarks/search_quality.py --seeds 20 --steps 30        about 3 minutes on one core

The score is a smooth function of the decoded architecture and recipe, with an optimum in the
middle of the space, a learning rate that depends on the optimizer, trials that diverge, and the
noise of a training seed. Regret is the noise-free score of the best network of the space (as far
as a long search finds it) less that of the network that looked best so far. It tests the
optimiser, not networks: no number of it says anything about a data set.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import yaml

from voxnas.complexity.analytic import analyze
from voxnas.core.search_space import SearchSpace
from voxnas.core.seeds import derive_seed
from voxnas.core.trial import Proposal, Result
from voxnas.search.chain import Chain, propose

SPACE = yaml.safe_load((Path(__file__).parents[1] / "config" / "search_spaces" / "unet.yaml").read_text())
PLAN = {
    "task": "segmentation",
    "spacing": [1.0, 1.0, 1.0],
    "patch": [40, 56, 40],
    "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]],
    "kernels": [[3, 3, 3]] * 4,
    "channels": 1,
    "outputs": 3,
}
LIMITS = {"parameters": 560_000, "macs": None, "latency_ms": None}
NOISE = 0.003  # standard deviation between training seeds, in Dice


def true_score(proposal: Proposal) -> float | None:
    """The made-up Dice of a network; None where its training diverges."""
    architecture, recipe = proposal.architecture, proposal.recipe
    cost = analyze(architecture, PLAN["patch"])
    rate = math.log10(recipe.learning_rate) - (-2.0 if recipe.optimizer == "sgd" else -2.7)
    if rate > 1.2:
        return None
    size, work = math.log10(cost.parameters), math.log10(cost.macs)
    return (
        0.885
        - 0.020 * math.exp(2.0 * (4.5 - size))  # too small
        - 0.012 * max(0.0, work - 8.8) ** 2  # too slow for its budget
        - 0.015 * rate**2
        - 0.010 * (recipe.augmentation - 0.4) ** 2
        - 0.004 * (recipe.schedule == "onecycle")
        - 0.004 * (architecture.block == "inverted")
        - 0.003 * (architecture.norm == "group")
        - 0.003 * (architecture.downsample == "average")
        - 0.006 * abs(len(architecture.widths) - 4)
    )


def search(method: str, seed: int, arguments: argparse.Namespace) -> tuple[list[float], float]:
    """Noise-free score of the incumbent after each step, and seconds a proposal."""
    spec = {
        "seed": seed,
        "method": method,
        "baseline": None,
        "space": SPACE,
        "search": {
            "space": "unet",
            "window": arguments.window,
            "initial": arguments.initial,
            "surrogate": arguments.surrogate,
            "start": False,
            "budget": {"amount": 1, "unit": "samples"},
            "limits": LIMITS,
        },
    }
    proposals: list[Proposal] = []
    results: list[Result] = []
    curve: list[float] = []
    spent, best, incumbent = 0.0, -math.inf, 0.0
    for step in range(arguments.steps):
        begin = time.perf_counter()
        chain = Chain(tuple(proposals), tuple(results[: max(0, step - arguments.window + 1)]))
        proposals.append(propose(spec, PLAN, None, chain, method, step))
        spent += time.perf_counter() - begin
        truth = true_score(proposals[-1])
        if truth is None:
            results.append(Result(state="FAILED", reason="diverged", key=proposals[-1].key))
        else:
            noise = np.random.default_rng(derive_seed(seed, "noise", proposals[-1].key)).normal(0, NOISE)
            results.append(Result(state="DONE", key=proposals[-1].key, score=truth + noise))
            if truth + noise > best:
                best, incumbent = truth + noise, truth
        curve.append(incumbent)
    return curve, spent / arguments.steps


def best_of_space(draws: int = 4000) -> float:
    """The best noise-free score that random draws and then hill climbing find."""
    space, rng = SearchSpace.from_dict(SPACE), np.random.default_rng(0)

    def score(config: dict) -> float:
        architecture, recipe = space.decode(config, PLAN)
        if analyze(architecture, PLAN["patch"]).parameters > LIMITS["parameters"]:
            return -math.inf
        proposal = Proposal(
            search="x", step=0, trial="x", origin="random", architecture=architecture, recipe=recipe, samples=1
        )
        truth = true_score(proposal)
        return -math.inf if truth is None else truth

    best = max((space.sample(rng) for _ in range(draws)), key=score)
    top = score(best)
    for _ in range(draws):
        other = space.mutate(best, rng)
        value = score(other)
        if value > top:
            best, top = other, value
    return top


def main() -> None:
    """Run both methods with every seed and print their regrets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--window", type=int, default=2)
    parser.add_argument("--initial", type=int, default=8)
    parser.add_argument("--surrogate", choices=("gp", "forest"), default="gp")
    arguments = parser.parse_args()
    top = best_of_space()
    print(
        f"best of the space: {top:.4f}; W = {arguments.window}, {arguments.seeds} seeds, regrets in Dice points x 100"
    )
    regrets = {}
    for method in ("bayesian", "random"):
        runs = [search(method, seed, arguments) for seed in range(arguments.seeds)]
        regrets[method] = 100 * (top - np.array([curve for curve, _ in runs]))
        seconds = np.mean([s for _, s in runs])
        means = "  ".join(f"{k}: {regrets[method][:, k - 1].mean():.2f}" for k in range(10, arguments.steps + 1, 10))
        print(f"{method:>9}  mean regret after steps {means}  ({seconds:.2f} s a proposal)")
    final = regrets["random"][:, -1] - regrets["bayesian"][:, -1]
    wins = np.mean(final > 0)
    print(
        f"bayesian is better in {wins:.0%} of the seeds, by {final.mean():.2f} +- {final.std() / len(final) ** 0.5:.2f}"
    )
    reach = np.median(regrets["random"][:, -1])
    steps = [next((k + 1 for k, r in enumerate(run) if r <= reach), None) for run in regrets["bayesian"]]
    steps = [arguments.steps if s is None else s for s in steps]
    print(f"it reaches the median final regret of random search after {np.median(steps):.0f} steps (median)")


if __name__ == "__main__":
    main()
