"""Records of a search: its proposals and results, and their conversion to observations for a strategy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_record
from voxnas.search.base import Curve, Observation
from voxnas.search.feasible import Candidate


@dataclass(frozen=True)
class Chain:
    """Records of a search: the finished steps in order, then the pending steps in order.

    In `order: strict` this is the order of the steps.

    Attributes
    ----------
    proposals : tuple of Proposal
    results : tuple of Result
        Results of the first proposals.
    curve : callable
        Function of a finished step that reads the rows of its ``curve.tsv``.
    """

    proposals: tuple[Proposal, ...]
    results: tuple[Result, ...]
    curve: Callable[[int], Curve] = lambda step: ()

    def finished(self) -> list[tuple[Proposal, Result]]:
        """Return the finished steps in order, without idle steps."""
        return [(p, r) for p, r in zip(self.proposals, self.results, strict=False) if not p.idle]

    def observations(self) -> tuple[Observation, ...]:
        """Return the observations of the finished steps in order."""
        return tuple(
            replace(
                _observation(proposal),
                state=result.state,
                scores={} if result.valid_score is None else {**result.metrics, "score": result.valid_score},
                costs={name: cost for name in COSTS if (cost := getattr(result, name)) is not None},
                samples=result.samples,
                read_curve=partial(self.curve, proposal.step),
            )
            for proposal, result in self.finished()
        )

    def pending(self) -> tuple[Observation, ...]:
        """Return the observations of the proposed steps without a usable result, without idle steps."""
        return tuple(_observation(p) for p in self.proposals[len(self.results) :] if not p.idle)


COSTS = ("parameters", "macs", "samples", "cpu_seconds")


def _observation(p: Proposal) -> Observation:
    assert p.architecture is not None and p.recipe is not None  # it is not idle
    candidate = Candidate(p.config, p.architecture, p.recipe)
    return Observation(p.step, p.trial, candidate, p.origin, p.rung, p.resume_from, samples=p.samples)


def read_chain(paths: StudyPaths, search: str, proposals: int, results: int) -> Chain:
    """Read the first proposals and results of a search; curves are read on access.

    Parameters
    ----------
    paths : StudyPaths
    search : str
        Name of the search.
    proposals, results : int
        Numbers of records to read.

    Raises
    ------
    UserError
        If a record is missing or damaged, or a result belongs to another network than its proposal.
    """
    proposed = tuple(read_record(paths.step(search, k) / "proposal.json", Proposal) for k in range(proposals))
    finished = tuple(read_record(paths.step(search, k) / "result.json", Result) for k in range(results))
    for proposal, result in zip(proposed, finished, strict=False):
        if not proposal.idle and result.key != proposal.key:
            raise UserError(
                f"{paths.step(search, proposal.step) / 'result.json'} belongs to network {result.key or 'n/a'}, "
                f"its proposal to {proposal.key}",
                "delete the result and run the study again",
            )
    return Chain(proposed, finished, lambda step: read_curve(paths.step(search, step) / "curve.tsv"))


def read_curve(path: Path) -> Curve:
    """Read the rows of a ``curve.tsv``: for each validation its values by column, without missing values.

    Raises
    ------
    UserError
        If the file is missing.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist", "delete the result.json beside it and run the study again")
    names, *rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return tuple({n: float(v) for n, v in zip(names, row, strict=True) if v != "n/a"} for row in rows)


def finished_steps(paths: StudyPaths, search: str) -> int:
    """Count the steps of a search with a result, from the first step to the first gap."""
    return next(step for step in itertools.count() if not (paths.step(search, step) / "result.json").exists())
