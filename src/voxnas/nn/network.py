"""The module of a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

import voxnas.nn.ops  # noqa: F401 - registers the modules
from voxnas.arch.graph import Graph
from voxnas.arch.primitives.base import PRIMITIVES
from voxnas.nn.ops.base import MODULES, Framewise


class Network(nn.Module):
    """A network as its graph describes it.

    Parameters
    ----------
    graph : Graph
        What to build. On a clip every primitive that is not temporal is applied frame by frame.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        timed = graph.timed()
        self.ops = nn.ModuleDict()
        for number, node in enumerate(graph.nodes[1:], start=1):
            module = MODULES[node.op](node, [graph.nodes[i].channels for i in node.inputs])
            framewise = timed[number] and not PRIMITIVES[node.op].temporal
            self.ops[str(number)] = Framewise(module) if framewise else module
        self._order = {training: _plan(graph, training) for training in (False, True)}

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Compute the outputs.

        Parameters
        ----------
        x : Tensor, (B, C, *S), or (B, T, C, *S) for a graph on clips
            S is divisible by the graph's divisor.

        Returns
        -------
        Tensor, or a list of such
            The first output; while training all of them, if there are several.
        """
        values = {0: x}
        for number, inputs, done in self._order[self.training]:
            values[number] = self.ops[str(number)](*(values[i] for i in inputs))
            for i in done:  # so that inference holds no tensor longer than needed
                del values[i]
        if self.training and len(self.graph.outputs) > 1:
            return [values[i] for i in self.graph.outputs]
        return values[self.graph.outputs[0]]

    def fit_inputs(self, inputs: Callable[[], Iterable[torch.Tensor]]) -> None:
        """Let the nodes that read the input fit what they subtract from it.

        Parameters
        ----------
        inputs : callable
            Gives the inputs of the training scans, each (C, *S); not called where no node asks.
        """
        for number, node in enumerate(self.graph.nodes[1:], start=1):
            module = self.ops[str(number)]
            fit = getattr(module, "fit_inputs", None)
            if node.inputs == (0,) and fit is not None:
                fit(inputs())


def _plan(graph: Graph, training: bool) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """Each needed node with its inputs and with those values that nothing later needs."""
    order = graph.needed(training)
    last = {i: number for number in order for i in graph.nodes[number].inputs}
    kept = set(graph.outputs)
    return [
        (
            number,
            graph.nodes[number].inputs,
            tuple(sorted({i for i in graph.nodes[number].inputs if last[i] == number and i not in kept})),
        )
        for number in order
    ]
