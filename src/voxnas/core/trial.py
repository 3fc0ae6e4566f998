"""Records exchanged between the steps of a search and between the rules of the workflow."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from voxnas.core.architecture import Architecture, Recipe, network_key
from voxnas.core.record import Record, is_default
from voxnas.core.training import Derivation

SCHEMA_VERSION: Final = 1
LINEAR: Final = "linear"  # source of models that are fitted instead of trained
PER_FRAME: Final = "per-frame"  # source of the copy of a searched network without operators along time
REFIT: Final = "refit"  # source of the winner trained again on all scans outside the test split
STUDENT: Final = "student"  # source of the winner's architecture trained so by teachers
PRUNED: Final = "pruned"  # source of the winner with fewer channels, fine-tuned from its weights
SCRATCH: Final = "scratch"  # source of a pruned architecture trained from fresh weights
DERIVED: Final = frozenset((REFIT, STUDENT, PRUNED, SCRATCH))
State = Literal["DONE", "FAILED", "STOPPED", "SKIPPED"]


class Known(Record):
    """Inputs of a proposal of `order: arrival`, recorded for its replay.

    Results and pending proposals are listed by step with the digests of their records. Together they comprise all
    earlier proposals of the search.
    """

    order: Annotated[int, Field(ge=0)] = Field(description="Number of earlier proposals of the search.")
    results: dict[int, str] = Field({}, description="Finished steps, with digests of their results.")
    pending: dict[int, str] = Field({}, description="Steps without a result, with digests of their proposals.")
    kind: str = Field("", description="Kind of node for which the proposal was made; empty: any.")
    seconds: float | None = Field(
        None, description="Maximum predicted duration of a trial on this kind of node, in seconds."
    )
    calibration: str = Field("", description="Digest of the measurements of this kind of node, if used.")


class PriorTrial(Record):
    """A trial of an earlier study over the same space."""

    config: dict[str, Any]
    score: float = Field(description="Larger is better; comparable within its table only.")


class Proposal(Record):
    """The architecture, recipe and fidelity of one step of a search.

    An idle proposal (the search space is exhausted) has no architecture, and its result is SKIPPED.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    search: str = Field(description="Name of the search: a strategy, or `baseline-<name>`.")
    step: Annotated[int, Field(ge=0)]
    trial: str = Field(description="Identifier of the trial, unique in its search.")
    origin: str = Field(description="Origin stated by the strategy; `start`: the given first trial, `idle`: no trial.")
    config: dict[str, Any] = Field({}, description="Values of the active parameters of the search space.")
    architecture: Architecture | None = None
    recipe: Recipe | None = None
    resume_from: int | None = Field(None, description="Earlier step of the same trial that this step continues.")
    rung: Annotated[int, Field(ge=0)] = Field(0, description="Rung of fidelity that the step reaches.")
    resumable: bool = Field(
        False, description="Whether the training state is kept, so that a later step can continue this step."
    )
    samples: Annotated[int, Field(ge=0)] = Field(
        0, description="Fidelity to reach: samples seen since the start of the trial."
    )
    note: str = Field("", exclude_if=is_default(""), description="Remark of the strategy, for the report.")
    known: Known | None = Field(
        None, exclude_if=is_default(None), description="Inputs of the proposal, for `order: arrival`."
    )

    @property
    def idle(self) -> bool:
        """Whether the proposal has no architecture to train."""
        return self.architecture is None

    @property
    def key(self) -> str:
        """Key of the proposed network (see :func:`network_key`)."""
        if self.architecture is None or self.recipe is None:
            raise ValueError("an idle proposal has no key")
        return network_key(self.architecture, self.recipe)


class Result(Record):
    """Result of the training of one step, without any data that differs between two equal runs.

    DONE: reached its samples. STOPPED: ended early on a plateau, with a valid score. FAILED: ended for a reason of its
    own (out of memory, divergence), of which the strategy is informed. SKIPPED: the proposal was idle. Samples and CPU
    seconds refer to the whole trial, including the earlier steps (:mod:`voxnas.search.summary` subtracts these).
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    state: State
    reason: str = ""
    key: str = ""
    score: float | None = Field(None, description="Validation score, the larger the better: mean Dice, AUC, or -MAE.")
    metrics: dict[str, float] = Field({}, description="Further validation scores by name.")
    samples: int = Field(0, description="Samples seen since the start of the trial.")
    parameters: int = 0
    macs: int = Field(0, description="Multiply-adds of one patch.")
    cpu_seconds: float | None = Field(
        None, description="CPU time since the start of the trial, predicted by the calibration of the study, if any."
    )
    store: str = Field("", description="Digest of the store entry with the training state.")

    @property
    def valid_score(self) -> float | None:
        """The score; None if the training failed or was skipped."""
        return self.score if self.state in ("DONE", "STOPPED") else None


class Network(Record):
    """A finalist or baseline, identified by its key."""

    schema_version: Literal[1] = SCHEMA_VERSION
    key: str
    name: str = Field(description="Name in tables and figures, such as `bayesian-1` or `nnunet`.")
    source: str = Field(
        description="Search of the network, such as `bayesian` or `baseline-nnunet`; or `linear`, `per-frame`."
    )
    rank: int = Field(1, description="Rank within its source by the search score, from 1.")
    search_score: float | None = None
    architecture: Architecture
    recipe: Recipe
    samples: Annotated[int, Field(ge=0)] = Field(description="Full budget, in samples.")
    derivation: Derivation | None = Field(
        None, exclude_if=is_default(None), description="Derivation from other networks."
    )
