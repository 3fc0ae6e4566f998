"""An architecture and a recipe as data: validated, hashable, canonical JSON records.

An architecture is a record of its family; families are plug-ins (:mod:`voxnas.arch.families`). Validators set choices
without effect to a neutral value, so that equal networks with equal recipes have equal records and keys.
"""

from collections.abc import Mapping
from itertools import chain, combinations
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, TypeAdapter, model_validator

from voxnas.core.canonical import digest
from voxnas.core.record import Positive, Record
from voxnas.core.registry import Registry

FAMILIES: Registry[Any] = Registry("family", "voxnas.families", builtin="voxnas.arch.families")
"""Registered families (:class:`voxnas.arch.families.Family`) by the field ``family`` of their records."""


class ArchitectureRecord(Record):
    """Base of the architectures of all families.

    A subclass defines ``family`` with its name as literal and default. An empty view is excluded from the plain data,
    so that it does not affect the key.
    """

    family: str
    in_channels: Positive = Field(description="Channels of the input.")
    out_channels: Positive = Field(description="Number of classes or of regression values.")
    view: Literal["", "clips", "maps", "series", "connectivity"] = Field(
        "", exclude_if=lambda view: not view, description="Input view of a run; empty: the scan itself."
    )

    @model_validator(mode="before")
    @classmethod
    def _neutral(cls, data: Any) -> Any:
        try:
            return cls.neutral(dict(data)) if isinstance(data, dict) else data
        except (TypeError, AttributeError, LookupError, RecursionError) as error:
            raise ValueError(f"a field has a wrong type ({error})") from None

    @classmethod
    def neutral(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return the `data` of a record with neutral values for choices without effect; by default as given."""
        return data


def _parse_family(data: Any) -> ArchitectureRecord:
    """Validate plain data as a record of its family."""
    if isinstance(data, ArchitectureRecord):
        return data
    family = data.get("family") if isinstance(data, Mapping) else None
    if not isinstance(family, str) or family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}; known families: {', '.join(FAMILIES)}")
    record: type[ArchitectureRecord] = FAMILIES[family].record
    return record.model_validate(data)


Architecture = Annotated[SerializeAsAny[ArchitectureRecord], BeforeValidator(_parse_family)]
"""Type of fields for an architecture of any registered family."""
_architecture: TypeAdapter[ArchitectureRecord] = TypeAdapter(Architecture)


def parse_architecture(data: Mapping[str, Any]) -> ArchitectureRecord:
    """Validate plain data as an architecture; raises pydantic.ValidationError."""
    return _architecture.validate_python(data)


class Recipe(Record):
    """Hyper-parameters of the training of a network, without its budget."""

    optimizer: Literal["adamw", "muon", "sgd"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    schedule: Literal["poly", "cosine", "onecycle", "constant"] = Field(
        "cosine", description="Schedule of the learning rate; `constant` is independent of its end."
    )
    averaging: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        exclude_if=lambda share: share == 0,
        description="Share of the training over which the weights are averaged; 0: the last weights.",
    )
    loss: Literal["dice_ce", "dice_focal", "jaccard_ce", "ce", "mse"] = Field(
        "dice_ce", description="Segmentation: dice_ce, dice_focal or jaccard_ce; classification: ce; regression: mse."
    )
    spatial: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5,
        description="Probability of the spatial transforms except mirroring; `deformation: affine`: relative to the "
        "usual one (volumes: nnU-Net's).",
    )
    deformation: Literal["affine", "elastic"] = Field(
        "affine",
        exclude_if=lambda kind: kind == "affine",
        description="Spatial transforms of volumes: `affine`, as in nnU-Net, or `elastic`, a gentler resampling with "
        "an elastic field.",
    )
    intensity: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5,
        description="Probability of each transform of the values, relative to its usual one (volumes: nnU-Net's); the "
        "ranges are fixed.",
    )
    mirror: Literal["none", "left_right", "all"] = Field(
        "none", description="Axes of random flips in training and of test-time augmentation."
    )


MIRROR_AXES: dict[str, tuple[int, ...]] = {"none": (), "left_right": (2,), "all": (0, 1, 2)}
"""Axes of (D, H, W) flipped by each value of :attr:`Recipe.mirror`."""

Copy = tuple[tuple[int, ...], tuple[int, int, int]]
"""A copy of a volume for test-time augmentation: flipped axes of (D, H, W), and a shift along them in voxels."""


def further_copies(mirror: str, shifts: bool) -> tuple[Copy, ...]:
    """Copies that are predicted besides the volume itself.

    Parameters
    ----------
    mirror : str
        A key of :data:`MIRROR_AXES`: all combinations of flips along its axes.
    shifts : bool
        Whether to shift the volume by one voxel to both sides along each axis.
    """
    axes = MIRROR_AXES[mirror]
    flips = chain.from_iterable(combinations(axes, n) for n in range(1, len(axes) + 1))
    steps = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)) if shifts else ()
    return (*((flip, (0, 0, 0)) for flip in flips), *(((), step) for step in steps))


def network_key(architecture: ArchitectureRecord, recipe: Recipe, derivation: Record | None = None) -> str:
    """Identity of an architecture with its recipe: 12 hexadecimal digits, equal for equal networks.

    The derivation from other networks (:class:`voxnas.core.training.Derivation`) is part of the identity.
    """
    derived = {} if derivation is None else {"derivation": derivation.plain()}
    return digest({"architecture": architecture.plain(), "recipe": recipe.plain(), **derived})
