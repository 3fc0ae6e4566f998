"""The records that pass between the steps of a search and between the rules of the workflow."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from voxnas.core.architecture import Architecture, Recipe, network_key
from voxnas.core.record import Record
from voxnas.core.training import Derivation

SCHEMA_VERSION: Final = 1
LINEAR: Final = "linear"  # source of what is fitted and not trained
PER_FRAME: Final = "per-frame"  # source of what a searched network would be without its time
State = Literal["DONE", "FAILED", "STOPPED", "SKIPPED"]


class Known(Record):
    """What a proposal of `order: arrival` was made from, so that it can be made again.

    Results and pending proposals are given as digests of their records by step. Together they are all the
    proposals of the search that were made before this one.
    """

    order: Annotated[int, Field(ge=0)] = Field(description="How many proposals of the search were made before.")
    results: dict[int, str] = Field({}, description="Finished steps, with digests of their results.")
    pending: dict[int, str] = Field({}, description="Steps without a result, with digests of their proposals.")
    kind: str = Field("", description="Kind of node that it was made for; empty: any.")
    seconds: float | None = Field(None, description="Predicted time that a trial may take on this kind of node.")
    calibration: str = Field("", description="Digest of the measurements of this kind of node, where they are used.")


class Proposal(Record):
    """What one step of a search is to do.

    An IDLE proposal (the space is exhausted) has no architecture and its result is SKIPPED.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    search: str = Field(description="Name of the search: a strategy, or `baseline-<name>`.")
    step: Annotated[int, Field(ge=0)]
    trial: str = Field(description="Id of the trial, unique in its search.")
    origin: str = Field(description="How its strategy found it; `start` is the given first trial, `idle` no trial.")
    config: dict[str, Any] = Field({}, description="The active parameters of the search space.")
    architecture: Architecture | None = None
    recipe: Recipe | None = None
    resume_from: int | None = Field(None, description="Earlier step of the same trial that is continued.")
    rung: Annotated[int, Field(ge=0)] = Field(0, description="How often the trial was continued.")
    resumable: bool = Field(False, description="A later step may continue this one, so its training state is kept.")
    samples: Annotated[int, Field(ge=0)] = Field(
        0, description="Fidelity to reach: samples seen, from the trial's start."
    )
    note: str = Field("", exclude_if=lambda note: not note, description="A remark of its strategy, for the report.")
    known: Known | None = Field(
        None, exclude_if=lambda known: known is None, description="`order: arrival` alone: what it was made from."
    )

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self.architecture is None

    @property
    def key(self) -> str:
        """Identity of what is trained (see :func:`network_key`)."""
        if self.architecture is None or self.recipe is None:
            raise ValueError("an idle proposal has no key")
        return network_key(self.architecture, self.recipe)


class Result(Record):
    """What one step's training found. Holds nothing that differs between two equal runs.

    DONE: reached its samples. STOPPED: ended early on a plateau (its score counts). FAILED: ended
    for a reason of its own (out of memory, divergence), which the strategy learns from. SKIPPED:
    there was nothing to do. Samples and CPU seconds are those of the whole trial: the earlier steps
    that this one continues are in them (:mod:`voxnas.search.summary` takes them out).
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    state: State
    reason: str = ""
    key: str = ""
    score: float | None = Field(None, description="Validation score, larger is better: mean Dice, AUC, or -MAE.")
    metrics: dict[str, float] = Field({}, description="Further validation scores by name.")
    samples: int = Field(0, description="Samples seen, from the trial's start.")
    parameters: int = 0
    macs: int = Field(0, description="Multiply-adds of one patch.")
    cpu_seconds: float | None = Field(
        None, description="From the trial's start; predicted by the study's calibration, where it has one."
    )
    store: str = Field("", description="Digest under which the training's state lies in the store.")

    @property
    def valid_score(self) -> float | None:
        """The score where it counts; None where the training failed or there was none."""
        return self.score if self.state in ("DONE", "STOPPED") else None


class Network(Record):
    """A network that has left its search: a finalist or a baseline, addressed by its key."""

    schema_version: Literal[1] = SCHEMA_VERSION
    key: str
    name: str = Field(description="What tables and figures call it, such as `bayesian-1` or `nnunet`.")
    source: str = Field(description="Search that found it: `bayesian`, `baseline-nnunet`; or `linear`, `per-frame`.")
    rank: int = Field(1, description="1 for the best of its source by the search folds.")
    search_score: float | None = None
    architecture: Architecture
    recipe: Recipe
    samples: Annotated[int, Field(ge=0)] = Field(description="Full budget, in samples.")
    derivation: Derivation | None = Field(
        None, exclude_if=lambda derivation: derivation is None, description="How it came from other networks."
    )
