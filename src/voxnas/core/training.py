"""A training as a record: everything that determines it, by kind.

The digest of the record names the training in the store. Fields that are at their defaults are left out of the
plain data, so that a field that is added later changes no digest.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, TypeAdapter, model_validator

from voxnas.core.architecture import Architecture, Recipe
from voxnas.core.record import Record

SHA256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _is_default(default: object) -> Any:
    return lambda value: value == default


class Channels(Record):
    """The channels of a layer that a narrower layer keeps, as positions in the wider one; None: all of them."""

    outputs: tuple[int, ...] | None = None
    inputs: tuple[int, ...] | None = None


class Weights(Record):
    """Trained weights that a training starts from."""

    source: str = Field(description="Digest of a finished training in the store; in a derivation, key of a network.")
    channels: dict[str, Channels] = Field(
        {},
        exclude_if=_is_default({}),
        description="Kept channels of each narrowed layer, by the layer's name or that of its node.",
    )


class Teacher(Record):
    """Trained networks whose outputs a network learns beside the targets (Hinton et al. 2015)."""

    sources: tuple[str, ...] = Field(
        min_length=1, description="Digests of finished trainings in the store; in a derivation, keys of networks."
    )
    temperature: Annotated[float, Field(gt=0)] = 2.0
    weight: Annotated[float, Field(gt=0, le=1)] = Field(0.5, description="Share of the loss that the teacher has.")


class Derivation(Record):
    """How a network came from others: part of its key. Seed `n` of it derives from seed `n` of the others."""

    start: Weights | None = None
    teacher: Teacher | None = None
    mask: SHA256 | None = None


class _Training(Record):
    """What trainings of all kinds have."""

    schema_version: Literal[1] = 1
    architecture: Architecture
    recipe: Recipe
    fold: Annotated[int, Field(ge=0)] = Field(description="Fold that validates; the other folds train.")
    seed: int = Field(description="Seed of initialisation, sampling and augmentation.")
    samples: Annotated[int, Field(ge=1)]
    restarts: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="Samples of the trial's earlier steps; the learning rate's schedule starts anew after each."
    )
    mask: SHA256 | None = Field(
        None,
        exclude_if=_is_default(None),
        description="Digest of the file of 0/1 tensors that the weights are multiplied by after each step.",
    )

    @property
    def parent(self) -> Self | None:
        """The training that this one continues.

        Its state only saves time: with or without it this training gives the same result, since the
        restarts state the samples of all earlier steps.
        """
        if not self.restarts:
            return None
        return self.model_copy(update={"samples": self.restarts[-1], "restarts": self.restarts[:-1]})


class Fit(_Training):
    """A training from fresh weights."""

    kind: Literal["fit"] = Field("fit", exclude_if=_is_default("fit"))
    teacher: Teacher | None = Field(None, exclude_if=_is_default(None))


class FineTune(_Training):
    """A training from the weights of a finished one."""

    kind: Literal["fine_tune"] = "fine_tune"
    start: Weights
    teacher: Teacher | None = Field(None, exclude_if=_is_default(None))


class Supernet(_Training):
    """A training of a network with alphas: they learn on scans of their own, in turn with the weights.

    First-order DARTS (Liu et al. 2019): before each step of the weights the alphas take a step of Adam on a batch of
    scans that the weights do not see.
    """

    kind: Literal["supernet"] = "supernet"
    alpha_folds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        min_length=1, description="Folds on which the alphas learn; the weights learn on those that are left."
    )
    alpha_learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    alpha_weight_decay: Annotated[float, Field(ge=0)] = 1e-3

    @model_validator(mode="after")
    def _folds_are_apart(self) -> Self:
        if self.fold in self.alpha_folds:
            raise ValueError(f"the alphas learn on fold {self.fold}, which validates")
        return self


def _kind(data: Any) -> str:
    return data.get("kind", "fit") if isinstance(data, dict) else data.kind


Training = Annotated[
    Annotated[Fit, Tag("fit")] | Annotated[FineTune, Tag("fine_tune")] | Annotated[Supernet, Tag("supernet")],
    Discriminator(_kind),
]
"""One record of any kind."""
TRAINING: TypeAdapter[Training] = TypeAdapter(Training)
