"""The network around stacked cells: stem, projections of the inputs of a cell, and heads."""

from collections.abc import Callable, Sequence

from voxnas.arch.families.stacked.cell import USUAL_KERNEL, Cell, parse_operation
from voxnas.arch.families.stacked.record import Stacked
from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.layers import Size, ones, total
from voxnas.arch.parts import add_heads, classify
from voxnas.arch.primitives.base import PRIMITIVES

Join = Callable[[str, tuple[str, str], int, Size], str]


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
                ends = [self.operate(op, values[i], stage, stride if i < len(given) else None) for i, op in edges]
                values.append(ends[0] if len(ends) == 1 else self.graph.add("add", tuple(ends)))
        return values

    def operate(self, operation: str, at: str, stage: int, stride: Size | None, name: str = "", share: int = 1) -> str:
        """Apply an `operation` of a cell to the value of node `at`.

        Parameters
        ----------
        operation : str
        at : str
        stage : int
            Determines the channels and the kernel.
        stride : tuple of int or None
        name : str
            Name of the node; empty: that of the primitive.
        share : int
            The output has one in so many channels of the stage.
        """
        op, own = parse_operation(operation)
        kernel = tuple(1 if k == 1 else own for k in self.architecture.kernels[stage])
        if PRIMITIVES[op].window and stride is not None:  # a window is at least as large as its stride
            kernel = tuple(max(k, USUAL_KERNEL) if s > 1 else k for k, s in zip(kernel, stride, strict=True))
        return self.graph.add(op, at, self.architecture.widths[stage] // share, kernel, stride, name=name)

    def rise(self, at: str, stage: int) -> str:
        """Upsample the value of node `at` into a decoder stage."""
        record = self.architecture
        return self.graph.add("transposed", at, record.widths[stage], stride=record.strides[stage + 1], name="up")

    def grow(self, join: Join) -> Graph:
        """The graph of cells with two inputs: the outputs of the last two cells, in the decoder skip and upsampled.

        Parameters
        ----------
        join : callable
            Adds a cell, given its kind (``normal``, ``reduction`` or ``up``), the nodes of its inputs, its stage and
            its stride, and returns the node of its output.
        """
        record, one = self.architecture, ones(len(self.architecture.strides[0]))
        before, last = self.graph.input, self.convolve(self.graph.input, 0)
        late: Size = record.strides[0]  # the stride between `before` and `last`
        ends = []
        for stage, count in enumerate(record.cells):
            for number in range(count):
                width = record.widths[stage]
                reduces = stage > 0 and number == 0
                stride = record.strides[stage] if reduces else one
                with self.graph.scope(f"encoder.{stage}.cell.{number}"):
                    given = (self.bring(before, width, late), self.bring(last, width, one))
                    end = join("reduction" if reduces else "normal", given, stage, stride)
                    before, last, late = last, end, stride
            ends.append(last)
        decoded = [ends.pop()]
        for stage in reversed(range(len(ends) if record.decoder else 0)):
            with self.graph.scope(f"decoder.{stage}"):
                given = (self.bring(ends[stage], record.widths[stage], one), self.rise(decoded[0], stage))
                decoded.insert(0, join("up", given, stage, one))
        return self.finish(decoded)

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
