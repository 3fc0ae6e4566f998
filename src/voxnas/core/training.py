"""Records of trainings, by kind, which contain everything that determines a result.

The digest of a record identifies the training in the store. Fields with default values are excluded from the plain
data, so that adding a field changes no existing digest.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, TypeAdapter, model_validator

from voxnas.core.architecture import Architecture, Recipe
from voxnas.core.record import Record, is_default

SHA256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _new(default: Any, description: str, **limits: Any) -> Any:
    """A field that the plain data omit at its default."""
    return Field(default, description=description, exclude_if=is_default(default), **limits)


class Channels(Record):
    """Indices of the channels of a layer that a narrower layer keeps; None: all channels."""

    outputs: tuple[int, ...] | None = None
    inputs: tuple[int, ...] | None = None


class Weights(Record):
    """Trained weights from which a training starts."""

    source: str = Field(description="Digest of a finished training in the store; in a derivation, key of a network.")
    channels: dict[str, Channels] = Field(
        {},
        exclude_if=is_default({}),
        description="Kept channels of each narrowed layer, by the name of the layer or of its node.",
    )
    criterion: Literal["magnitude", "random"] | None = Field(
        None,
        exclude_if=is_default(None),
        description="Choice of the kept channels from the weights of each seed, in place of `channels`: those with the "
        "largest weights, or random ones. The architecture determines how many.",
    )

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        if self.channels and self.criterion:
            raise ValueError("channels and criterion exclude each other")
        return self


class Teacher(Record):
    """Trained networks whose outputs are additional targets of a network (Hinton et al. 2015)."""

    sources: tuple[str, ...] = Field(
        min_length=1, description="Digests of finished trainings in the store; in a derivation, keys of networks."
    )
    temperature: Annotated[float, Field(gt=0)] = 2.0
    weight: Annotated[float, Field(gt=0, le=1)] = Field(0.5, description="Weight of the distillation term in the loss.")
    out_of_fold: bool = _new(
        False, "Whether a scan is taught only by the sources that validated on its fold and have not learnt it."
    )


class Derivation(Record):
    """Derivation of a network from others, part of its key. Seed `n` derives from seed `n` of the other networks."""

    start: Weights | None = None
    teacher: Teacher | None = None
    mask: SHA256 | None = None
    refit: bool = _new(
        False, "Whether the network is trained on all folds, that is on all scans outside the test split."
    )

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of the networks from which the network starts or learns."""
        starts = (self.start.source,) if self.start else ()
        return tuple(dict.fromkeys((*starts, *(self.teacher.sources if self.teacher else ()))))


class _Training(Record):
    """Fields of the trainings of all kinds."""

    schema_version: Literal[1] = 1
    architecture: Architecture
    recipe: Recipe
    fold: Annotated[int, Field(ge=0)] | None = Field(
        description="Fold that validates; the other folds train. None: all folds train, and the training has no score."
    )
    seed: int = Field(description="Seed of initialisation, sampling and augmentation.")
    samples: Annotated[int, Field(ge=1)]
    restarts: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description="Samples of the earlier steps of the trial; the learning-rate schedule restarts after each step.",
    )
    mask: SHA256 | None = _new(
        None, "Digest of a file of 0/1 tensors; the weights are multiplied by them after each step."
    )

    @property
    def parent(self) -> Self | None:
        """Training that this training continues.

        The state of the parent saves time but does not affect the result, since `restarts` lists the samples of all
        earlier steps.
        """
        if not self.restarts:
            return None
        return self.model_copy(update={"samples": self.restarts[-1], "restarts": self.restarts[:-1]})


class _Taught(_Training):
    """Field of the trainings that may have a teacher."""

    teacher: Teacher | None = Field(None, exclude_if=is_default(None))

    @model_validator(mode="after")
    def _check_teacher(self) -> Self:
        if self.fold is not None and self.teacher is not None and self.teacher.out_of_fold:
            raise ValueError(f"teachers that left out other folds have learnt from fold {self.fold}, which validates")
        return self


class Fit(_Taught):
    """A training from fresh weights."""

    kind: Literal["fit"] = Field("fit", exclude_if=is_default("fit"))


class FineTune(_Taught):
    """A training from the weights of a finished one."""

    kind: Literal["fine_tune"] = "fine_tune"
    start: Weights


class Supernet(_Training):
    """A training of a supernet, whose alphas and weights are optimised in alternation on separate scans.

    An Adam step of the alphas, on a batch of scans that is not used for the weights, precedes steps of the weights
    (DARTS, Liu et al. 2019, ICLR).
    """

    kind: Literal["supernet"] = "supernet"
    alpha_folds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        min_length=1, description="Folds that train the alphas; the remaining folds train the weights."
    )
    alpha_learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    alpha_weight_decay: Annotated[float, Field(ge=0)] = 1e-3
    relaxation: Literal["softmax", "gumbel", "straight_through"] = _new(
        "softmax", "softmax: all operations; gumbel: a weighted sample; straight_through: a sample with weights of 1."
    )
    operations: int = _new(2, "Sampled operations of an edge.", ge=1)
    edges: int = _new(2, "Sampled edges of a node.", ge=1)
    cooling: float = _new(5.0, "Temperature max(0.001, exp(-cooling * progress)) of the samples.", ge=0)
    alpha_every: int = _new(1, "Steps of the weights for each step of the alphas.", ge=1)
    warm_up: float = _new(0.0, "Share of the training before the first step of the alphas.", ge=0, lt=1)
    order: Literal[1, 2] = _new(1, "2: the alphas anticipate a step of the weights.")
    beta_decay: float = _new(0.0, "Final weight of the log-sum-exp of the alphas (Ye et al. 2022, CVPR).", ge=0)
    entropy: float = _new(0.0, "Final weight of the entropy of the operations of an edge.", ge=0)
    cost: float = _new(0.0, "Weight of the expected multiply-adds relative to their mean over operations.", ge=0)
    auxiliary_skip: float = _new(0.0, "Initial weight of an auxiliary skip connection (Chu et al. 2021, ICLR).", ge=0)
    most_skips: float = _new(
        1.0, "The alphas stop when this share of the best operations are skips (Liang et al. 2019).", gt=0, le=1
    )

    @model_validator(mode="after")
    def _check_folds(self) -> Self:
        if self.fold in self.alpha_folds:
            raise ValueError(f"alpha_folds contains fold {self.fold}, the validation fold")
        if self.relaxation != "softmax" and (self.order == 2 or self.auxiliary_skip):
            raise ValueError("order 2 and auxiliary_skip need the relaxation softmax, which computes all operations")
        return self


def _kind(data: Any) -> str:
    return data.get("kind", "fit") if isinstance(data, dict) else data.kind


Training = Annotated[
    Annotated[Fit, Tag("fit")] | Annotated[FineTune, Tag("fine_tune")] | Annotated[Supernet, Tag("supernet")],
    Discriminator(_kind),
]
"""Record of a training of any kind."""
TRAINING: TypeAdapter[Training] = TypeAdapter(Training)
