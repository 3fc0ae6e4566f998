"""Merges of several paths: sum and concatenation."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Relation, Shape, primitive


class Merge(Primitive):
    """Base of the merges of tensors of one size; `equal`: with equal channels."""

    arity = None
    block = False
    equal = False

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse a node whose channels are not the merged channels of its inputs."""
        super().check(node, given, dims)
        if self.equal and len(set(given)) > 1:
            raise ValueError(f"{self.name} of {tuple(given)} channels")
        if node.channels != self.channels(given, None):
            raise ValueError(f"{self.name} of {tuple(given)} channels does not give {node.channels}")

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """Shape of the output; a ValueError if the sizes of the inputs differ."""
        if len({shape.size for shape in inputs}) > 1:
            raise ValueError(f"{self.name} of the sizes {[shape.size for shape in inputs]}")
        return Shape(node.channels, inputs[0].size, max(shape.frames for shape in inputs))

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A move."""
        yield Layer("move", node.channels, node.channels, ones(len(inputs[0].size)), inputs[0].size)


@primitive("add")
class Add(Merge):
    """Sum of tensors of one shape."""

    commutative = True
    equal = True

    def relation(self, node: Node, given: Sequence[int]) -> Relation:
        """The channels of all inputs, which are tied."""
        return "sum"


@primitive("concat")
class Concat(Merge):
    """Concatenation along the channels."""

    def channels(self, given: Sequence[int], asked: int | None) -> int:
        """Return the channels `asked` for, by default the sum of the channels of the inputs (`given`)."""
        return sum(given) if asked is None else asked

    def relation(self, node: Node, given: Sequence[int]) -> Relation:
        """The channels of all inputs, one input after another."""
        return "joined"
