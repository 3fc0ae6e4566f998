"""A family of architectures: the interface of its records to the rest of the library.

Nothing outside a family asks which family an architecture belongs to; it asks the family (:func:`family_of`) for the
graph, the input, the description .. instead. A third-party package adds a family by the entry point
``voxnas.families``: an instance of a :class:`Family`, under the ``family`` of its records.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from voxnas.arch.families.description import Description, describe_graph
from voxnas.arch.families.space import FamilySpace
from voxnas.arch.graph import Graph, infer_shapes
from voxnas.arch.layers import Layer
from voxnas.core.architecture import FAMILIES, ArchitectureRecord
from voxnas.core.plan import Plan

A = TypeVar("A", bound=ArchitectureRecord)


class Family(Generic[A]):
    """Base of all families; an instance is registered once and keeps no state.

    A family of networks defines `record` and :meth:`graph`; the other methods have defaults.

    Attributes
    ----------
    record : type
        Class of the records.
    spaces : tuple of FamilySpace
        The search spaces that a file can have of the family; none: its architectures are made by hand only.
    fitted : bool
        Whether its models are fitted in closed form. They have no graph, are not trained, and cost no time to train.
    """

    record: type[A]
    spaces: ClassVar[tuple[FamilySpace, ...]] = ()
    fitted: ClassVar[bool] = False

    def graph(self, architecture: A) -> Graph:
        """Expand an architecture to its graph; :func:`expand` caches the latest graphs.

        Raises
        ------
        ValueError
            For models that are fitted in closed form and are no networks.
        """
        raise ValueError(f"family {architecture.family!r} is not a network")

    def layers(self, architecture: A, size: Sequence[int]) -> Iterator[Layer]:
        """All layers on an input of a size (see :func:`list_layers`)."""
        graph = expand(architecture)
        needed = set(graph.needed(training=False))
        for shaped in infer_shapes(graph, tuple(size)):
            for layer in shaped.layers:
                yield layer if shaped.node.id in needed else layer._replace(frames=0)

    def input_size(self, architecture: A, plan: Plan) -> tuple[int, ...]:
        """Size of one input: (D, H, W), of a network on clips (T, D, H, W).

        Parameters
        ----------
        architecture : A
        plan : Plan
            The plan of the view that the architecture reads.
        """
        lead = (plan.frames,) if expand(architecture).clip else ()
        return *lead, *plan.patch

    def describe(self, architecture: A, size: Sequence[int]) -> Description:
        """The stages, the choices and the cells, for tables and drawings.

        Parameters
        ----------
        architecture : A
        size : sequence of int
            Size of one input, (D, H, W) or (T, D, H, W).
        """
        return describe_graph(expand(architecture), size)

    def uses_time(self, architecture: A) -> bool:
        """Whether the output of a network depends on the order of the frames of a clip."""
        return not self.fitted and expand(architecture).uses_time()

    def without_time(self, architecture: A, size: Sequence[int]) -> A | None:
        """Return the network that processes each frame alone at equal multiply-adds; None if there is no such network.

        Parameters
        ----------
        architecture : A
        size : sequence of int, (T, D, H, W)
            Size of one input.

        Raises
        ------
        UserError
            If no network costs nearly as much.
        """
        return None


def register(kind: type[Family[Any]]) -> type[Family[Any]]:
    """Decorator: register a kind of family under the ``family`` of its records."""
    FAMILIES.register(kind.record.model_fields["family"].default)(kind())
    return kind


def family_of(architecture: ArchitectureRecord) -> Family[Any]:
    """The family of an architecture."""
    family: Family[Any] = FAMILIES[architecture.family]
    return family


@functools.lru_cache(maxsize=1024)
def expand(architecture: ArchitectureRecord) -> Graph:
    """The graph of an architecture.

    Raises
    ------
    ValueError
        For models that are fitted in closed form and are no networks.
    """
    return family_of(architecture).graph(architecture)


def list_layers(architecture: ArchitectureRecord, size: Sequence[int]) -> Iterator[Layer]:
    """All layers of an architecture on an input of the given size, in the order of computation.

    The size is (D, H, W), of a network on clips (T, D, H, W).

    Layers that only training computes (the heads of deep supervision) have no frames and so no cost but parameters. A
    linear model has one weight for each channel and voxel of the given size and output.
    """
    return family_of(architecture).layers(architecture, size)
