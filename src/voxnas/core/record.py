"""What records of architectures are made of."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Triple = tuple[Positive, Positive, Positive]
Size = tuple[Positive, ...]
Norm = Literal["instance", "group"]
Activation = Literal["relu", "leaky_relu", "silu"]


class Record(BaseModel):
    """Base of the records: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def plain(self) -> dict[str, Any]:
        """The record as plain JSON data."""
        return self.model_dump(mode="json")


class ArchitectureRecord(Record):
    """Base of the architectures: what they read of a scan.

    The view is left out of the plain data where it is the scan itself, so that keys of such networks do not know of it.
    """

    clips: ClassVar[bool] = False

    view: Literal["", "clips", "maps", "series", "connectivity"] = Field(
        "", exclude_if=lambda view: not view, description="Which view of a run is read; empty: the scan itself."
    )
