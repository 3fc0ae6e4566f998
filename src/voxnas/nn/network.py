"""The module of a graph; each node's module has the node's identity as its name."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import voxnas.nn.ops  # noqa: F401 - registers the modules
from voxnas.arch.graph import INPUT, Graph
from voxnas.arch.layers import Size
from voxnas.arch.primitives.base import PRIMITIVES, Node
from voxnas.nn.ops.base import MODULES, Framewise
from voxnas.nn.ops.mix import Mix


class Network(nn.Module):
    """The network of a graph.

    Parameters
    ----------
    graph : Graph
        Description of the network. Primitives that are not temporal apply to each frame of a clip.

    Attributes
    ----------
    recompute : bool
        Whether the backward pass computes the inner tensors of the nodes again instead of keeping them (Chen et al.
        2016). Gradients are equal; results with batch norm too, whose nodes keep their tensors.
    mixes : dict of str to Mix
        Nodes ``mix`` by identity.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.recompute = False
        self._nodes, timed = graph.by_id(), graph.timed()
        for node in graph.nodes[1:]:
            module = MODULES[node.op](node, [self._nodes[i].channels for i in node.inputs])
            framewise = node.id in timed and not PRIMITIVES[node.op].temporal
            self._register(node.id, Framewise(module) if framewise else module)
        self.mixes = {node.id: self._mix(node) for node in graph.nodes if node.op == "mix"}
        for node in graph.nodes:
            if node.op == "mix" and node.option("alphas"):
                self.mixes[node.id].share(self.mixes[str(node.option("alphas"))])
        self._mixed = {i for identity in self.mixes for i in self._nodes[identity].inputs}
        self.choose()

    def _mix(self, node: Node) -> Mix:
        module = self.get_submodule(node.id)
        found = module.module if isinstance(module, Framewise) else module
        assert isinstance(found, Mix)
        return found

    def owned(self) -> dict[str, Mix]:
        """The nodes ``mix`` that have alphas of their own, by label."""
        return {mix.label: mix for mix in self.mixes.values() if mix.owner is mix}

    def choose(self) -> None:
        """Follow the present draws and choices of the nodes ``mix``: other operations are not computed."""
        self._order = {}
        for training in (False, True):
            chosen = {i: c for i, mix in self.mixes.items() if (c := mix.chosen(training)) is not None}
            self._order[training] = _plan(self.graph, training, chosen)

    @property
    def divisor(self) -> Size:
        """Divisor of the size of an input along each axis."""
        return self.graph.divisor

    def _register(self, identity: str, module: nn.Module) -> None:
        """Register the module of a node; an identity such as ``encoder.1.block.0`` gives nested modules."""
        *scopes, name = identity.split(".")
        parent: nn.Module = self
        try:
            for scope in scopes:
                if scope not in dict(parent.named_children()):
                    parent.add_module(scope, nn.Module())
                parent = parent.get_submodule(scope)
            parent.add_module(name, module)
        except KeyError as error:  # for example `train`, an attribute of every module
            raise ValueError(f"a network cannot have a node {identity!r}: {error.args[0]}") from None

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Compute the outputs.

        Parameters
        ----------
        x : Tensor, (B, C, *S), or (B, T, C, *S) for a graph on clips
            S is divisible by the graph's divisor.

        Returns
        -------
        Tensor or list of Tensor
            The first output, or in training mode all outputs of a graph with several.
        """
        recompute = self.recompute and self.training and torch.is_grad_enabled()
        values = {INPUT: x}
        for identity, inputs, done in self._order[self.training]:
            if not recompute:
                values[identity] = self.get_submodule(identity)(*(values[i] for i in inputs))
            elif identity in self.mixes:
                values[identity] = self._recompute_mix(identity, inputs, values)
            elif identity not in self._mixed:
                values[identity] = self._recompute(identity, *(values[i] for i in inputs))
            for i in done if not recompute else ():  # inference keeps no tensor longer than necessary
                del values[i]
        if self.training and len(self.graph.outputs) > 1:
            return [values[i] for i in self.graph.outputs]
        return values[self.graph.outputs[0]]

    def _recompute(self, identity: str, *inputs: Tensor) -> Tensor:
        """Compute a node without keeping its inner tensors; batch norm would count a batch twice."""
        module = self.get_submodule(identity)
        if self._nodes[identity].norm == "batch":
            return module(*inputs)
        return checkpoint(module, *inputs, use_reentrant=False, preserve_rng_state=False)

    def _recompute_mix(self, identity: str, inputs: Sequence[str], values: Mapping[str, Tensor]) -> Tensor:
        """Compute a node ``mix`` and its operations without keeping any tensor but the inputs of the operations."""
        sources = [self._nodes[i].inputs[0] for i in inputs]

        def compute(*given: Tensor) -> Tensor:
            ends = (self.get_submodule(i)(value) for i, value in zip(inputs, given, strict=True))
            return self.get_submodule(identity)(*ends)

        given = (values[i] for i in sources)
        return checkpoint(compute, *given, use_reentrant=False, preserve_rng_state=False)

    def fit_inputs(self, inputs: Callable[[], Iterable[Tensor]]) -> None:
        """Fit the statistics that nodes subtract from the input.

        Parameters
        ----------
        inputs : callable
            Returns the inputs of the training scans, each (C, *S); called only if a node needs them.
        """
        for node in self.graph.nodes[1:]:
            fit = getattr(self.get_submodule(node.id), "fit_inputs", None)
            if node.inputs == (INPUT,) and fit is not None:
                fit(inputs())


def _plan(
    graph: Graph, training: bool, chosen: Mapping[str, Sequence[int]]
) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """List the needed nodes with their inputs and with the values that no later node needs.

    A node in `chosen` has only the inputs of these numbers.
    """
    inputs = {
        node.id: tuple(node.inputs[i] for i in chosen[node.id]) if node.id in chosen else node.inputs
        for node in graph.nodes
    }
    order = graph.needed(training, inputs)
    last = {i: identity for identity in order for i in inputs[identity]}
    kept = set(graph.outputs)
    return [(n, inputs[n], tuple(sorted({i for i in inputs[n] if last[i] == n and i not in kept}))) for n in order]
