"""Bayesian and random search on an inexpensive synthetic score over the actual U-Net space.

    python benchmarks/search_quality.py --seeds 20 --steps 30                about 3 minutes on one core
    python benchmarks/search_quality.py --seeds 20 --steps 60 --rungs 3      promotion: about 15 minutes

The score is a smooth function of the decoded architecture and recipe, with an optimum in the
middle of the space, a learning rate that depends on the optimizer, trials that diverge, and the
noise of a training seed. Regret is the noise-free score of the best network of the space (as
found by a long search) minus the noise-free score of the currently selected network. The benchmark
tests the optimiser, not networks; its numbers do not carry over to data sets.

With several rungs, it compares searches at equal cost whose trials are all short, all long, or short
with promotion of the best. A short training has a lower score, more noise, and favours small networks.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze
from voxnas.core.plan import VolumeFingerprint, VolumePlan
from voxnas.core.seeds import derive_seed
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.trial import Proposal, Result
from voxnas.search.chain import Chain
from voxnas.search.propose import Search
from voxnas.search.select import ranked

SPACE = yaml.safe_load((Path(__file__).parents[1] / "config" / "search_spaces" / "unet.yaml").read_text())
PATCH = (40, 56, 40)
PLAN = VolumePlan(
    task="segmentation",
    spacing=(1, 1, 1),
    normalize="zscore",
    crop=True,
    patch=PATCH,
    strides=((1, 1, 1), *((2, 2, 2),) * 3),
    kernels=((3, 3, 3),) * 4,
    channels=1,
    outputs=3,
    fingerprint=VolumeFingerprint(median_shape=PATCH, median_spacing=(1, 1, 1), scans=1),
)
LIMITS = {"parameters": 560_000}
NOISE = 0.003  # standard deviation between training seeds at full fidelity, in Dice


@dataclass(frozen=True)
class Fidelity:
    """Length of the trials: `first` is the share of the full budget on the lowest rung."""

    name: str
    first: float = 1.0
    rungs: int = 1
    factor: int = 3

    def of(self, rung: int) -> float:
        """Share of the full budget on a rung."""
        return self.first * self.factor**rung


def true_score(proposal: Proposal, fidelity: float = 1.0) -> float | None:
    """Synthetic Dice of a network after a share of the full budget; None if its training diverges."""
    architecture, recipe = proposal.architecture, proposal.recipe
    cost = analyze(architecture, PLAN.patch)
    rate = math.log10(recipe.learning_rate) - (-2.0 if recipe.optimizer == "sgd" else -2.7)
    if rate > 1.2:
        return None
    size, work = math.log10(cost.parameters), math.log10(cost.macs)
    return (
        0.885
        - 0.020 * math.exp(2.0 * (4.5 - size))  # too small
        + 0.02 * math.log10(fidelity)  # incomplete training
        - 0.012 * max(0.0, work - 8.8 - 0.7 * math.log10(fidelity)) ** 2  # too slow for its budget
        - 0.015 * rate**2
        - 0.010 * (recipe.spatial - 0.4) ** 2
        - 0.004 * (recipe.schedule == "onecycle")
        - 0.004 * (architecture.block == "inverted")
        - 0.003 * (architecture.norm == "group")
        - 0.003 * (architecture.downsample == "average")
        - 0.006 * abs(len(architecture.widths) - 4)
    )


def search(method: str, seed: int, arguments: argparse.Namespace, fidelity: Fidelity) -> tuple[list[float], float]:
    """Noise-free score of the incumbent at full fidelity after each unit of cost, and seconds per proposal."""
    settings = {
        "window": arguments.window,
        "start": False,
        "budget": {"amount": 1},
        "promotion": "asha" if fidelity.rungs > 1 else "",
        "options": {
            "bayesian": {"initial": arguments.initial, "surrogate": arguments.surrogate},
            "asha": {"rungs": max(2, fidelity.rungs), "factor": fidelity.factor},
        },
        "limits": LIMITS,
    }
    named = {"name": method, "method": method, "baseline": None, "space": SPACE}
    inputs = Search(stage_spec(parse_settings({"seed": seed, "search": settings}), "search", **named), PLAN)
    proposals: list[Proposal] = []
    results: list[Result] = []
    curve: list[float] = []
    spent, cost, unit = 0.0, 0.0, float(arguments.factor ** (1 - arguments.rungs))
    while len(curve) < arguments.steps:
        step = len(proposals)
        begin = time.perf_counter()
        chain = Chain(tuple(proposals), tuple(results[: max(0, step - arguments.window + 1)]))
        proposal = inputs.propose(chain, step)
        spent += time.perf_counter() - begin
        proposals.append(proposal)
        share = fidelity.of(proposal.rung)
        cost += (share - (fidelity.of(proposal.rung - 1) if proposal.rung else 0.0)) / unit
        truth = true_score(proposal, share)
        if truth is None:
            results.append(Result(state="FAILED", reason="diverged", key=proposal.key))
        else:
            rng = np.random.default_rng(derive_seed(seed, "noise", proposal.key, proposal.rung))
            score = truth + rng.normal(0, NOISE / math.sqrt(share))
            results.append(Result(state="DONE", key=proposal.key, score=score))
        trials = ranked(Chain(tuple(proposals), tuple(results)))
        incumbent = true_score(trials[0][0]) if trials else None
        curve += [incumbent or 0.0] * (min(arguments.steps, round(cost)) - len(curve))
    return curve, spent / len(proposals)


def best_of_space(draws: int = 4000) -> float:
    """The best noise-free score found by random draws followed by hill climbing."""
    space, rng = SearchSpace.from_dict(SPACE), np.random.default_rng(0)

    def score(config: dict) -> float:
        architecture, recipe = space.decode(config, PLAN)
        if analyze(architecture, PLAN.patch).parameters > LIMITS["parameters"]:
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
    """Run both methods with each seed and print their regrets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--window", type=int, default=2)
    parser.add_argument("--initial", type=int, default=8)
    parser.add_argument("--surrogate", choices=("gp", "forest"), default="gp")
    parser.add_argument("--rungs", type=int, default=1, help="if above 1, compare short, long and promoted trials")
    parser.add_argument("--factor", type=int, default=3)
    arguments = parser.parse_args()
    top = best_of_space()
    print(
        f"best of the space: {top:.4f}; W = {arguments.window}, {arguments.seeds} seeds, regrets in Dice points x 100"
    )
    fidelities = [Fidelity("")]
    if arguments.rungs > 1:
        short = arguments.factor ** (1 - arguments.rungs)
        promoted = Fidelity("promoted", short, arguments.rungs, arguments.factor)
        fidelities = [Fidelity("short", short), Fidelity("long"), promoted]
    regrets = {}
    for method in ("bayesian", "random"):
        for fidelity in fidelities:
            runs = [search(method, seed, arguments, fidelity) for seed in range(arguments.seeds)]
            name = f"{method} {fidelity.name}".strip()
            regrets[name] = 100 * (top - np.array([curve for curve, _ in runs]))
            seconds = np.mean([s for _, s in runs])
            at = range(10, arguments.steps + 1, 10)
            means = "  ".join(f"{k}: {regrets[name][:, k - 1].mean():.2f}" for k in at)
            print(f"{name:>17}  mean regret after a cost of {means}  ({seconds:.2f} s a proposal)", flush=True)
    for first, second in zip(regrets, list(regrets)[len(fidelities) :], strict=False):
        compare(first, second, regrets)
    if arguments.rungs > 1:
        for method in ("bayesian", "random"):
            for other in ("short", "long"):
                compare(f"{method} promoted", f"{method} {other}", regrets)


def compare(first: str, second: str, regrets: dict[str, np.ndarray]) -> None:
    """Print the final gain of the first search over the second, and when the first reaches the second's result."""
    gain = regrets[second][:, -1] - regrets[first][:, -1]
    print(
        f"{first} is better than {second} in {np.mean(gain > 0):.0%} of the seeds, by {gain.mean():.2f} +- "
        f"{gain.std() / len(gain) ** 0.5:.2f}",
        end="; ",
    )
    reach = np.median(regrets[second][:, -1])
    costs = [next((k + 1 for k, r in enumerate(run) if r <= reach), len(run)) for run in regrets[first]]
    print(f"it reaches the other's median final regret after a cost of {np.median(costs):.0f} (median)")


if __name__ == "__main__":
    main()
