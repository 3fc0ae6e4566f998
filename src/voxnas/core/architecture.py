"""An architecture and a recipe as data: validated, hashable, canonical JSON records.

An architecture is a record of its family; the families themselves are plug-ins (:mod:`voxnas.arch.families`). Two pairs
of records that build the same network and train it the same way are equal and have equal keys: the validators of each
record set a choice without effect to its neutral value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, TypeAdapter, model_validator

from voxnas.core.canonical import digest
from voxnas.core.record import Positive, Record
from voxnas.core.registry import Registry

FAMILIES: Registry[Any] = Registry("family", "voxnas.families", builtin="voxnas.arch.families")
"""The families of architectures, each a :class:`voxnas.arch.families.Family`, by the ``family`` of their records."""


class ArchitectureRecord(Record):
    """Base of the architectures of all families.

    A subclass gives ``family`` its name as literal and default. The view is left out of the plain data where the
    network reads the scan itself, so that the keys of such networks do not depend on it.
    """

    family: str
    in_channels: Positive = Field(description="Channels of the input.")
    out_channels: Positive = Field(description="Classes, or values of a regression.")
    view: Literal["", "clips", "maps", "series", "connectivity"] = Field(
        "", exclude_if=lambda view: not view, description="Which view of a run is read; empty: the scan itself."
    )

    @model_validator(mode="before")
    @classmethod
    def _neutral(cls, data: Any) -> Any:
        return cls.neutral(dict(data)) if isinstance(data, dict) else data

    @classmethod
    def neutral(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return the `data` of a record with neutral values for choices without effect; by default as given."""
        return data


def _of_its_family(data: Any) -> ArchitectureRecord:
    """Validate plain data as a record of the family that it names."""
    if isinstance(data, ArchitectureRecord):
        return data
    family = data.get("family") if isinstance(data, Mapping) else None
    if not isinstance(family, str) or family not in FAMILIES:
        raise ValueError(f"family {family!r} is none of {', '.join(FAMILIES)}")
    record: type[ArchitectureRecord] = FAMILIES[family].record
    return record.model_validate(data)


Architecture = Annotated[SerializeAsAny[ArchitectureRecord], BeforeValidator(_of_its_family)]
"""Type of a field that holds an architecture of any registered family."""
_architecture: TypeAdapter[ArchitectureRecord] = TypeAdapter(Architecture)


def parse_architecture(data: Mapping[str, Any]) -> ArchitectureRecord:
    """Validate plain data as an architecture (pydantic.ValidationError if it is none)."""
    return _architecture.validate_python(data)


class Recipe(Record):
    """How a network is trained, apart from its budget."""

    optimizer: Literal["adamw", "muon", "sgd"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    schedule: Literal["poly", "cosine", "onecycle"] = "cosine"
    loss: Literal["dice_ce", "dice_focal", "ce", "mse"] = Field(
        "dice_ce", description="Segmentation: dice_ce or dice_focal; classification: ce; regression: mse."
    )
    augmentation: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Strength of all random transforms; 0: none but mirroring."
    )
    mirror: Literal["none", "left_right", "all"] = Field(
        "none", description="Axes along which patches are flipped at random, and test predictions averaged."
    )


MIRROR_AXES: dict[str, tuple[int, ...]] = {"none": (), "left_right": (2,), "all": (0, 1, 2)}
"""The axes of (D, H, W) that each setting of :attr:`Recipe.mirror` flips."""


def network_key(architecture: ArchitectureRecord, recipe: Recipe, derivation: Record | None = None) -> str:
    """Identity of an architecture with its recipe: 12 hexadecimal digits, equal for equal networks.

    A network that is derived from others (:class:`voxnas.core.training.Derivation`) is another network.
    """
    derived = {} if derivation is None else {"derivation": derivation.plain()}
    return digest({"architecture": architecture.plain(), "recipe": recipe.plain(), **derived})
