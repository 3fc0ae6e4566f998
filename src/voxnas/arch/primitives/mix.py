"""The weighted sum of all operations of a node of a supernet (DARTS, Liu et al. 2019, ICLR).

The weights follow from alphas, one for each operation of an edge, and from betas, one for each edge (PC-DARTS, Xu et
al. 2020, ICLR). Cells of one type share them.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Shape, Value, primitive
from voxnas.arch.primitives.merge import Merge


@primitive("mix")
class Mix(Merge):
    """Sum of tensors of one shape with learnt weights.

    The inputs are the operations of the first edge, then those of the second, and so on. With `zero` each edge has one
    further alpha, of the operation without an output. `alphas` is the identity of an earlier node whose alphas and
    betas the node uses; empty: it has its own. `label` names the alphas. A
    `bypass` has one input for each edge and the weights of the edges alone.
    """

    options: ClassVar[dict[str, Value]] = {"edges": 2, "zero": False, "alphas": "", "label": "mix", "bypass": False}
    equal = True

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse inputs with different channels, or edges with unequal numbers of operations."""
        super().check(node, given, dims)
        if len(given) % operations_shape(node)[0]:
            raise ValueError(f"mix of {len(given)} inputs over {node.option('edges')} edges")
        if node.option("bypass") and not node.option("alphas"):
            raise ValueError("a bypass has no alphas of its own")

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """The alphas and the betas, and a move."""
        one = ones(len(inputs[0].size))
        if not node.option("alphas"):
            edges, operations = operations_shape(node)
            yield Layer("parameter", 1, edges * (operations + 1), one, one)
        yield Layer("move", node.channels, node.channels, one, inputs[0].size)


def operations_shape(node: Node) -> tuple[int, int]:
    """Number of edges and number of alphas of each edge of a ``mix`` `node`."""
    edges, zero = node.option("edges"), node.option("zero")
    assert isinstance(edges, int)
    return edges, len(node.inputs) // edges + bool(zero)
