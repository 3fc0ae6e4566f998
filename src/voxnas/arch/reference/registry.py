"""Registry of the hand-made networks, each with its paper, its tasks and its published parameter counts."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from voxnas.arch.graph import Graph
from voxnas.core.registry import Registry

SEGMENTATION = ("segmentation",)
VECTOR = ("classification", "regression")


class Published(NamedTuple):
    """A parameter count that the network must have.

    Attributes
    ----------
    parameters : int
        Learnt values.
    source : str
        The paper, or the implementation from which the number comes.
    dims, in_channels, out_channels : int
        Of the network that was counted.
    options : mapping
        Likewise.
    """

    parameters: int
    source: str
    dims: int = 2
    in_channels: int = 3
    out_channels: int = 1000
    options: Mapping[str, Any] = {}


@dataclass(frozen=True)
class ReferenceNetwork:
    """A registered network; call it to build its graph.

    Attributes
    ----------
    build : callable
        Function of the channels in, the channels out, the dimensions, and options by keyword.
    paper : str
        Authors, year, venue.
    tasks : tuple of str
    counts : tuple of Published
    dims : tuple of int
    """

    build: Callable[..., Graph]
    paper: str
    tasks: tuple[str, ...]
    counts: tuple[Published, ...]
    dims: tuple[int, ...] = (1, 2, 3)

    def __call__(self, in_channels: int, out_channels: int, dims: int = 3, **options: Any) -> Graph:
        """The graph of the network."""
        return self.build(in_channels, out_channels, dims, **options)

    @cached_property
    def options(self) -> dict[str, Any]:
        """Options of the builder and their defaults."""
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}

    def choose(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given options that differ from their defaults, each of its default's type.

        Raises
        ------
        ValueError
            Names an unknown option, or an option whose value has another type.
        """
        chosen: dict[str, Any] = {}
        for name, value in given.items():
            if name not in self.options:
                raise ValueError(f"option {name!r} is none of {', '.join(self.options) or '(there are none)'}")
            default = self.options[name]
            if isinstance(default, float) and type(value) is int:
                value = float(value)
            if type(value) is not type(default):
                raise ValueError(f"option {name} is {value!r}, not of the type of {default!r}")
            if value != default:
                chosen[name] = value
        return chosen


NETWORKS: Registry[ReferenceNetwork] = Registry("network")


def network(
    name: str, paper: str, tasks: tuple[str, ...], *counts: Published, dims: tuple[int, ...] = (1, 2, 3)
) -> Callable[[Callable[..., Graph]], Callable[..., Graph]]:
    """Decorator: register a builder under `name`; a builder may have several names.

    The builder takes `in_channels`, `out_channels` and `dims`, and the options of the network by name.

    Parameters
    ----------
    name : str
        Name of the network.
    paper : str
        The publication.
    tasks : tuple of str
        Tasks for which it is made.
    counts : Published
        Parameter counts that the network must have.
    dims : tuple of int
        Numbers of spatial dimensions that it can have.
    """

    def enter(build: Callable[..., Graph]) -> Callable[..., Graph]:
        NETWORKS.register(name)(ReferenceNetwork(build, paper, tasks, counts, dims))
        return build

    return enter
