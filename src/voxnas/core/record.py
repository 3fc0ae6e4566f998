"""Base of all records, and common types of fields."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0, lt=2**31)]
Side = Annotated[int, Field(gt=0, le=4096)]
Repeats = Annotated[int, Field(gt=0, le=256)]  # blocks or cells of a stage
Triple = tuple[Side, Side, Side]
Size = tuple[Side, ...]
Norm = Literal["instance", "group"]
Activation = Literal["relu", "leaky_relu", "silu"]


def is_default(default: object) -> Callable[[Any], bool]:
    """Condition on which the plain data of a record omits a field, so that adding the field changes no digest."""
    return lambda value: value == default


class Record(BaseModel):
    """Base of the records: frozen, without unknown keys, NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def plain(self) -> dict[str, Any]:
        """Return the record as plain JSON data."""
        return self.model_dump(mode="json")
