"""The records of a search: its proposals and results, and how a strategy sees them."""

from __future__ import annotations

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


def no_curve(step: int) -> Curve:
    """The curve of a step where none is known."""
    return ()


@dataclass(frozen=True)
class Chain:
    """What is known of a search: the finished steps in order, then the pending ones in order.

    In strict order that is simply the order of the steps.

    Attributes
    ----------
    proposals : tuple of Proposal
    results : tuple of Result
        Of the first proposals.
    curve : callable
        Reads the rows of a finished step's ``curve.tsv``.
    """

    proposals: tuple[Proposal, ...]
    results: tuple[Result, ...]
    curve: Callable[[int], Curve] = no_curve

    def finished(self) -> list[tuple[Proposal, Result]]:
        """The finished steps in order, without the idle ones."""
        return [(p, r) for p, r in zip(self.proposals, self.results, strict=False) if not p.idle]

    def observations(self) -> tuple[Observation, ...]:
        """The finished steps in order as a strategy sees them."""
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
        """The steps that are proposed and whose results are not used yet, without the idle ones."""
        return tuple(_observation(p) for p in self.proposals[len(self.results) :] if not p.idle)


COSTS = ("parameters", "macs", "samples", "cpu_seconds")


def _observation(p: Proposal) -> Observation:
    assert p.architecture is not None and p.recipe is not None  # it is not idle
    candidate = Candidate(p.config, p.architecture, p.recipe)
    return Observation(p.step, p.trial, candidate, p.origin, p.rung, p.resume_from, samples=p.samples)


def read_chain(paths: StudyPaths, search: str, proposals: int, results: int) -> Chain:
    """Read the first proposals and results of a search; curves are read where a strategy asks for them.

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
                f"{paths.step(search, proposal.step) / 'result.json'} is of network {result.key or 'n/a'}, "
                f"its proposal is of {proposal.key}",
                "delete the result and run the study again",
            )
    return Chain(proposed, finished, lambda step: read_curve(paths.step(search, step) / "curve.tsv"))


def read_curve(path: Path) -> Curve:
    """The rows of a ``curve.tsv``: the values of a validation by their columns, without those that it lacks.

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
    """How many steps of a search, from the first without a gap, have a result."""
    step = 0
    while (paths.step(search, step) / "result.json").exists():
        step += 1
    return step
