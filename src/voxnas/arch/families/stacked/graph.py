"""The network around stacked cells: stem, projections of the inputs of a cell, and heads."""

from collections.abc import Sequence

from voxnas.arch.families.stacked.cell import USUAL_KERNEL, Cell, parse_operation
from voxnas.arch.families.stacked.record import Stacked
from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.layers import Size, total
from voxnas.arch.parts import add_heads, classify
from voxnas.arch.primitives.base import PRIMITIVES


class Stack:
    """A graph under construction, with the operations that all families of stacked cells share.

    Parameters
    ----------
    architecture : Stacked
    """

    def __init__(self, architecture: Stacked) -> None:
        self.architecture = architecture
        self.graph = GraphBuilder(
            architecture.in_channels, len(architecture.strides[0]), architecture.norm, architecture.activation
        )

    def convolve(self, at: str, stage: int) -> str:
        """A plain convolution of the value of node `at` into a stage, with its stride."""
        record = self.architecture
        form = record.widths[stage], record.kernels[stage], record.strides[stage]
        return self.graph.add("plain", at, *form, name=f"encoder.{stage}.stem")

    def bring(self, at: str, channels: int, stride: Size) -> str:
        """The value of node `at` with channels and size of a cell: itself, pointwise, or by the skip of DARTS."""
        if any(s > 1 for s in stride):
            return self.graph.add("skip", at, channels, stride=stride)
        return at if self.graph.channels(at) == channels else self.graph.add("plain", at, channels)

    def nodes(self, cell: Cell, given: Sequence[str], stage: int, stride: Size | None = None) -> list[str]:
        """The nodes of a cell.

        Parameters
        ----------
        cell : Cell
        given : sequence of str
            Inputs of the cell, with the width of the stage as channels.
        stage : int
        stride : tuple of int or None
            Of the operations on inputs.

        Returns
        -------
        list of str
            The graph's nodes of the inputs and of the cell's nodes.
        """
        values = list(given)
        for number, edges in enumerate(cell):
            with self.graph.scope(f"node.{number}"):
                ends = [self._operate(op, values[i], stage, stride if i < len(given) else None) for i, op in edges]
                values.append(ends[0] if len(ends) == 1 else self.graph.add("add", tuple(ends)))
        return values

    def _operate(self, operation: str, at: str, stage: int, stride: Size | None) -> str:
        op, own = parse_operation(operation)
        kernel = tuple(1 if k == 1 else own for k in self.architecture.kernels[stage])
        if PRIMITIVES[op].window and stride is not None:  # a window is at least as large as its stride
            kernel = tuple(max(k, USUAL_KERNEL) if s > 1 else k for k, s in zip(kernel, stride, strict=True))
        return self.graph.add(op, at, self.architecture.widths[stage], kernel, stride)

    def rise(self, at: str, stage: int) -> str:
        """Upsample the value of node `at` into a decoder stage."""
        record = self.architecture
        return self.graph.add("transposed", at, record.widths[stage], stride=record.strides[stage + 1], name="up")

    def finish(self, decoded: Sequence[str]) -> Graph:
        """The graph with its heads.

        Parameters
        ----------
        decoded : sequence of str
            The outputs of the decoder's stages from full resolution on, or only the output of the encoder.
        """
        record = self.architecture
        if record.decoder:
            supervised = len(decoded) - 1 if record.deep_supervision else 1
            heads = add_heads(self.graph, decoded[:supervised], record.out_channels)
        else:
            heads = [classify(self.graph, decoded[0], record.out_channels, record.dropout)]
        return self.graph.finish(*heads, divisor=total(record.strides))
