"""The hand-made networks of :mod:`voxnas.arch.reference`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_serializer, field_validator, model_validator

from voxnas.arch.families.base import Family, register
from voxnas.arch.graph import Graph
from voxnas.arch.reference import NETWORKS
from voxnas.core.architecture import ArchitectureRecord

Number = Annotated[int, Field(ge=-4096, le=4096)]
Numbers = Annotated[tuple[Number, ...], Field(max_length=256)]
OptionValue = bool | Number | float | str | Numbers | Annotated[tuple[Numbers, ...], Field(max_length=32)]


class Reference(ArchitectureRecord):
    """A hand-made network of the registry :data:`voxnas.arch.reference.NETWORKS`.

    Options with their default value are left out, so that equal networks have equal keys and an option that is added
    later changes no key.
    """

    family: Literal["named"] = "named"
    name: str
    dims: Literal[1, 2, 3] = 3
    options: tuple[tuple[str, OptionValue], ...] = Field(
        (), description="Choices of the network's builder, as a mapping: a width multiplier, a variant .."
    )

    @field_validator("options", mode="before")
    @classmethod
    def _pairs(cls, options: Any) -> Any:
        return tuple(options.items()) if isinstance(options, Mapping) else options

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name not in NETWORKS:
            raise ValueError(f"network {self.name!r} is none of {', '.join(NETWORKS)}")
        network = NETWORKS[self.name]
        if self.dims not in network.dims:
            raise ValueError(f"{self.name} is not defined in {self.dims} dimensions")
        chosen = network.choose(dict(self.options))
        object.__setattr__(self, "options", tuple(sorted(chosen.items())))
        network(self.in_channels, self.out_channels, self.dims, **chosen)  # the builder refuses invalid values
        return self

    @field_serializer("options")
    def _mapping(self, options: tuple[tuple[str, OptionValue], ...]) -> dict[str, OptionValue]:
        return dict(options)


@register
class ReferenceFamily(Family[Reference]):
    """Networks of the registry at their published sizes."""

    record = Reference

    def graph(self, architecture: Reference) -> Graph:
        """Build the network by its name in the registry."""
        build, options = NETWORKS[architecture.name], dict(architecture.options)
        return build(architecture.in_channels, architecture.out_channels, architecture.dims, **options)
