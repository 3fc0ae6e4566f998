"""Problems of the benchmark: a space with the scores of its configurations, which cost nothing to look up.

- :func:`nasbench201`: the 15,625 cells of NAS-Bench-201 (Dong and Yang 2020), in the family `hierarchical-cnn`.
- :func:`any_table`: any CSV with one configuration a row; all parameters are names.
- :func:`branches`: a conditional space of numbers and names whose optimum is known; one instance a seed.

Every space is a :class:`voxnas.arch.search_space.SearchSpace`, from which the peers derive their own description. The
last two use the family `listed`, whose networks cost nothing, so that they have no cost features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from voxnas.arch.conditions import Config
from voxnas.arch.families.base import Family, register
from voxnas.arch.families.space import FamilySpace
from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parameters import Value, numbers
from voxnas.arch.parts import classify
from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import Cost
from voxnas.core.architecture import FAMILIES, Architecture, ArchitectureRecord, Recipe
from voxnas.core.plan import VolumeFingerprint, VolumePlan
from voxnas.core.seeds import derive_seed
from voxnas.core.settings import LimitSettings
from voxnas.search.feasible import Candidate, FeasibleSpace

UNLIMITED = LimitSettings(parameters=None)
RECIPE = {name: value for name, value in Recipe().plain().items() if name != "loss"}  # not searched
OPERATIONS = {  # of NAS-Bench-201
    "none": "none", "skip_connect": "motif0", "nor_conv_1x1": "motif1", "nor_conv_3x3": "motif2",
    "avg_pool_3x3": "motif3",
}  # fmt: skip
CELLS = {
    "family": "hierarchical-cnn",
    "operations": ["plain", "plain_1", "window_average", "skip", "zero"],
    "motifs": {"count": 4, "nodes": 2},
    "cell": {"nodes": 4},
    "parameters": {
        "motif0.0-1": "skip", "motif1.0-1": "plain_1", "motif2.0-1": "plain", "motif3.0-1": "window_average",
        "stages": 3, "base_width": 16, "growth": 2.0, "widest": 4, "cells": 2, "norm": "instance",
        "activation": "relu", "dropout": 0.0, **RECIPE,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A space and the scores of its configurations.

    Attributes
    ----------
    name : str
    feasible : FeasibleSpace
        The space, as our strategies receive it.
    epochs : tuple of float
        Cost of one evaluation at each fidelity, increasing.
    key : callable
        Identity of a configuration: equal for equal networks, whose second evaluation is free.
    observe : callable
        Function of a configuration, a fidelity (index of `epochs`) and the number of the evaluation that returns the
        observed score, larger is better.
    truth : callable
        Function of a configuration that returns its score at the highest fidelity without noise.
    best : float
        Largest value of `truth`.
    top : mapping of str to float
        Values of `truth` that count as reached, by name.
    latency : callable or None
        Function of a configuration that returns its measured latency in ms; the front of score and latency is searched.
    volume : callable
        Function of (latency, score) pairs that returns the area which they dominate, as a share of that of all
        configurations. The reference is the nadir of the front: its largest latency and its lowest score.
    """

    name: str
    feasible: FeasibleSpace
    epochs: tuple[float, ...]
    key: Callable[[Config], Hashable]
    observe: Callable[[Config, int, int], float]
    truth: Callable[[Config], float]
    best: float
    top: Mapping[str, float]
    latency: Callable[[Config], float] | None = None
    volume: Callable[[Iterable[tuple[float, float]]], float] = lambda points: 0.0


def front_of(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the pairs (latency, score) that no other dominates, by increasing latency."""
    found: list[tuple[float, float]] = []
    for latency, score in sorted(points, key=lambda p: (p[0], -p[1])):
        if not found or score > found[-1][1]:
            found.append((latency, score))
    return found


def hypervolume(points: Iterable[tuple[float, float]], latency: float, score: float) -> float:
    """Area that pairs (latency, score) dominate within the reference of a largest latency and a lowest score."""
    area, lowest = 0.0, score
    for x, y in front_of(points):
        if x < latency and y > lowest:
            area += (latency - x) * (y - lowest)
            lowest = y
    return area


class Remembered(FeasibleSpace):
    """A feasible space that decodes each configuration once in all runs of a process.

    Parameters
    ----------
    space : SearchSpace
    plan : VolumePlan
    costs : bool
        Whether networks differ in cost; otherwise all costs are 1.
    """

    def __init__(self, space: SearchSpace, plan: VolumePlan, costs: bool = True) -> None:
        super().__init__(space, plan, UNLIMITED)
        if not costs:
            self.cost = lambda network: Cost(1, 1, 1)
        self._decoded: dict[tuple, Candidate] = {}
        self._configs: dict[Architecture, Config] = {}
        self.latency: Callable[[Config], float]  # of a problem with latencies

    def candidate(self, config: Config) -> Candidate:
        """Return the candidate of a configuration."""
        key = tuple(config.items())
        if key not in self._decoded:
            self._decoded[key] = super().candidate(config)
            self._configs[self._decoded[key].architecture] = config
        return self._decoded[key]

    def amount(self, architecture: Architecture, name: str) -> float:
        """Return a cost; the latency is that of the table, since a latency can be measured without a training."""
        if name == "latency_ms":
            return self.latency(self._configs[architecture])
        return super().amount(architecture, name)


def images(size: int = 32) -> VolumePlan:
    """Plan of a classification of two-dimensional images."""
    patch, strides = (1, size, size), ((1, 1, 1), (1, 2, 2), (1, 2, 2))
    return VolumePlan(
        task="classification", outputs=2, classes=("no", "yes"), labels={}, spacing=(1, 1, 1), normalize="zscore",
        crop=False, patch=patch, strides=strides, kernels=((1, 3, 3),) * 3, channels=3,
        fingerprint=VolumeFingerprint(median_shape=patch[::-1], median_spacing=(1, 1, 1), scans=1),
    )  # fmt: skip


class Listed(ArchitectureRecord):
    """A network that is no more than its list of values."""

    family: Literal["listed"] = "listed"
    values: tuple[tuple[str, Value], ...]


class ListedSpace(FamilySpace):
    """Space of given parameters; the structural key `targets` holds their values, or the limits of a range."""

    name = "listed"
    tasks = ("classification",)
    keys = ("targets",)

    def domains(self, structure: Mapping[str, Any]) -> Mapping[str, tuple]:
        """Return the parameters of the file."""
        return {k: numbers(*v) if isinstance(v[0], float) else tuple(v) for k, v in structure["targets"].items()}

    def required(self, structure: Mapping[str, Any], given: Any) -> Mapping[str, Any]:
        """Require no parameter, since conditions decide which are active."""
        return {}

    def decode(self, structure: Mapping[str, Any], values: Mapping[str, Any], plan: Any) -> Listed:
        """Return the list of values."""
        return Listed(in_channels=plan.channels, out_channels=plan.outputs, values=tuple(sorted(values.items())))


class ListedFamily(Family[Listed]):
    """Networks of equal cost: a linear layer."""

    record = Listed
    spaces = (ListedSpace(),)

    def graph(self, architecture: Listed) -> Graph:
        """Return the same graph for all."""
        graph = GraphBuilder(architecture.in_channels)
        return graph.finish(classify(graph, graph.input, architecture.out_channels), divisor=(1, 1, 1))


def listed_space(parameters: Mapping[str, Any]) -> SearchSpace:
    """Return the space of `parameters`, written as in a space file."""
    if "listed" not in FAMILIES:
        register(ListedFamily)
    targets = {name: entry.get("choices") or (entry["low"], entry["high"]) for name, entry in parameters.items()}
    return SearchSpace.from_dict({"family": "listed", "targets": targets, "parameters": {**parameters, **RECIPE}})


def _table_problem(
    name: str,
    feasible: Remembered,
    table: pd.DataFrame,
    parameters: list[str],
    scores: Sequence[str],
    epochs: Sequence[float],
    same: str | None,
    latency: str | None,
) -> Problem:
    """Problem of a table with a column for each parameter; equal networks have the mean of their rows."""
    groups = table[same].to_numpy() if same else np.arange(len(table))
    columns = [*scores, *([latency] if latency else [])]
    means = table.groupby(groups)[columns].transform("mean") if same else table[columns]
    rows = {values: i for i, values in enumerate(table[parameters].itertuples(index=False, name=None))}
    values = means.to_numpy(dtype=float)
    truth = values[:, len(scores) - 1]
    front = front_of(zip(values[:, -1].tolist(), truth.tolist(), strict=True))
    nadir = front[-1][0], front[0][1]
    total = hypervolume(front, *nadir)

    def row(config: Config) -> int:
        return rows[tuple(config[p] for p in parameters)]

    def measured(config: Config) -> float:
        return float(values[row(config), -1])

    feasible.latency = measured
    return Problem(
        name=name,
        feasible=feasible,
        epochs=tuple(epochs),
        key=lambda config: int(groups[row(config)]),
        observe=lambda config, level, number: float(values[row(config), level]),
        truth=lambda config: float(truth[row(config)]),
        best=float(truth.max()),
        top={
            "1%": _quantile(truth, 0.01),
            "0.1%": _quantile(truth, 0.001),
            "0.1% of networks": _quantile(truth[np.unique(groups, return_index=True)[1]], 0.001),
        },
        latency=measured if latency else None,
        volume=lambda points: hypervolume(points, *nadir) / total,
    )


def _quantile(values: np.ndarray, share: float) -> float:
    """Return the value that a share of the values (N,) reaches."""
    return float(np.sort(values)[-math.ceil(share * len(values))])


def read_csv(paths: Sequence[Path]) -> pd.DataFrame:
    """Read tables of the same rows and join their columns."""
    tables = [pd.read_csv(path) for path in paths]
    return pd.concat([tables[0], *(t[[c for c in t if c not in tables[0]]] for t in tables[1:])], axis=1)


def nasbench201(
    table: pd.DataFrame,
    scores: Sequence[str] = ("cifar100_val_acc_12ep",),
    epochs: Sequence[float] = (12,),
    costs: bool = True,
    latency: str | None = None,
    architecture: str = "arch_str",
    same: str = "isomorphism_class",
    name: str = "nasbench201",
) -> Problem:
    """Return the problem of NAS-Bench-201.

    Parameters
    ----------
    table : DataFrame
        One cell a row.
    scores : sequence of str
        Columns of the scores at increasing fidelity.
    epochs : sequence of float
        Cost of each.
    costs : bool
        Whether our strategies know the parameters and the multiply-adds of a cell.
    latency : str, optional
        Column of the latency in ms.
    architecture, same : str
        Columns of the cell and of the class of equal networks.
    name : str
        Name in the results.
    """
    pairs = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    found = table[architecture].str.findall(r"(\w+)~\d").tolist()
    edges = [f"cell.{i}-{j}" for i, j in pairs]
    cells = pd.DataFrame([[OPERATIONS[o] for o in row] for row in found], columns=edges, index=table.index)
    feasible = Remembered(SearchSpace.from_dict(CELLS), images(), costs)
    return _table_problem(name, feasible, pd.concat([table, cells], axis=1), edges, scores, epochs, same, latency)


def any_table(
    table: pd.DataFrame,
    parameters: list[str],
    scores: Sequence[str],
    epochs: Sequence[float] = (1,),
    same: str | None = None,
    latency: str | None = None,
    name: str = "table",
) -> Problem:
    """Return the problem of a table; arguments as of :func:`nasbench201`, and the columns of the parameters.

    The table must hold every combination of the values of its parameters.
    """
    table = table.astype(dict.fromkeys(parameters, str))
    space = listed_space({p: {"choices": sorted(table[p].unique())} for p in parameters})
    return _table_problem(name, Remembered(space, images()), table, parameters, scores, epochs, same, latency)


BRANCHES, NOISE = ("a", "b", "c"), 0.01
DECOY = 0.92  # height of the other branches; that of the good branch is 1
NARROW, WIDE = 0.5, 1.0  # widths of the bells
WRONG = 0.02  # loss by a wrong name


@cache
def branches(seed: int, decoys: bool = True) -> Problem:
    """Return an instance of the conditional problem.

    A branch has two numbers, one of them logarithmic, an integer and a name of its own; a number and a name are common.
    The score of a branch is its height times a bell around a point drawn by the seed, less 0.02 for each wrong name.
    The good branch has height 1 and a narrow bell; a decoy has height 0.92 and a wide bell, so that most of its points
    are better. Without decoys the others have the narrow bell, too. Noise has standard deviation 0.01.

    Parameters
    ----------
    seed : int
        Seed of the instance.
    decoys : bool
        Whether the other branches are decoys.
    """
    rng = np.random.default_rng(derive_seed(seed, "branches"))
    names = {"choices": ["u", "v", "w"]}
    parameters: dict[str, Any] = {"branch": {"choices": list(BRANCHES)}, "common": {"low": 0.0, "high": 1.0}}
    parameters["kind"] = names
    for branch in BRANCHES:
        own = {
            "rate": {"low": 1e-4, "high": 1e-1, "log": True},
            "size": {"low": 0.0, "high": 1.0},
            "depth": {"choices": [1, 2, 3, 4, 5, 6]},
            "form": names,
        }
        parameters |= {f"{branch}.{k}": {**v, "when": {"branch": branch}} for k, v in own.items()}
    space = listed_space(parameters)
    by_name = {p.name: p for p in space.parameters}
    good = BRANCHES[rng.integers(3)]
    ideal = {p.name: p.value(rng.uniform(0.1, 0.9)) for p in space.parameters}

    def truth(config: Config) -> float:
        branch = config["branch"]
        width = WIDE if decoys and branch != good else NARROW
        height = 1.0 if branch == good else DECOY
        far, wrong = 0.0, 0
        for name in ("common", "kind", *(f"{branch}.{own}" for own in ("rate", "size", "depth", "form"))):
            p = by_name[name]
            if p.ordinal:
                far += (p.position(config[name]) - p.position(ideal[name])) ** 2
            else:
                wrong += config[name] != ideal[name]
        return height * math.exp(-far / (2 * width**2)) - WRONG * wrong

    def observe(config: Config, level: int, number: int) -> float:
        return truth(config) + NOISE * np.random.default_rng(derive_seed(seed, "noise", number)).normal()

    return Problem(
        name="branches" if decoys else "branches-plain",
        feasible=Remembered(space, images()),
        epochs=(1,),
        key=lambda config: (*sorted(config.items()),),
        observe=observe,
        truth=truth,
        best=1.0,
        top={"0.05": 0.95, "0.02": 0.98},
    )
