"""Predicted peak memory of a training step, from shapes alone and without torch.

The step is replayed on the layers of the graph: tensors that the forward pass stores for the backward pass, tensors
that the backward pass releases, and temporary memory of each operation. The peak is the largest sum at any moment. The
model has no fitted parameter; a calibration multiplies it by a factor for the memory that the allocator of its device
retains. The rules are those of PyTorch:

- Convolution, norm, pooling and attention store their input. A tensor is stored once for all operations. An in-place
  activation (ReLU, leaky ReLU) stores its output, which is the input of the next layer; SiLU and GELU store their
  input as well.
- Under bfloat16 autocast the output of convolutions is bfloat16. Pooling on a CPU runs in float32 on a stored copy,
  and max pooling stores the int64 index of each maximum.
- oneDNN reorders plain tensors into blocks of 16 channels and back, so that a running convolution holds padded copies
  of its input and output.
- The loss holds float32 copies of the logits, their softmax and their gradient.
- Weights have a float32 gradient and, with Adam, two moments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

from voxnas.arch.families import expand
from voxnas.arch.graph import INPUT, Graph, ShapedNode, infer_shapes
from voxnas.arch.layers import WEIGHTED, Layer
from voxnas.arch.primitives.base import PRIMITIVES, Primitive
from voxnas.core.architecture import Architecture

MIB = 2**20
BLOCK = 16  # channels of a block of oneDNN
PLAIN_INPUT = 3  # convolutions of up to 3 input channels do not reorder them
GATED = 7  # tensors of the output's size that a recurrence stores (GRU)
IN_PLACE = ("relu", "leaky_relu")


@dataclass
class _Tensor:
    """A tensor of the network: number of elements in the batch, and bytes per element."""

    channels: int
    size: tuple[int, ...]
    elements: int
    width: int
    kept: bool = False

    @property
    def bytes(self) -> int:
        return self.elements * self.width


@dataclass
class _Step:
    """One operation: its temporary bytes in the forward and backward pass, and the bytes stored in between."""

    forward: float = 0.0
    kept: float = 0.0
    gradient: float = 0.0  # with respect to its input
    backward: float = 0.0
    weights: int = 0


@dataclass
class _Chain:
    """The steps of one node, and the gradients that its inputs receive."""

    steps: list[_Step] = field(default_factory=list)
    residual: bool = False


class _Replay:
    """Tensors and steps of a graph, node by node."""

    def __init__(self, graph: Graph, size: Sequence[int], batch: int, bf16: bool, cuda: bool) -> None:
        self.graph, self.batch, self.bf16, self.cuda = graph, batch, bf16, cuda
        self.compute = 2 if bf16 else 4
        channels = graph.nodes[0].channels
        count = channels * prod(size) * batch
        self.values = {INPUT: _Tensor(channels, tuple(size)[graph.clip :], count, 4)}
        self.chains: dict[str, _Chain] = {}
        needed = set(graph.needed(training=True))
        for shaped in infer_shapes(graph, tuple(size)):
            if shaped.node.id in needed:
                self.chains[shaped.node.id] = self._node(shaped)

    def _node(self, shaped: ShapedNode) -> _Chain:
        """Replay one node forward."""
        node, chain, primitive = shaped.node, _Chain(), PRIMITIVES[shaped.node.op]
        inputs = [self.values[i] for i in node.inputs]
        if len(inputs) > 1:  # a merge creates a tensor and stores nothing
            width = max(x.width for x in inputs)
            output = self._tensor(shaped.output.channels, shaped.output.size, shaped.output.frames, width)
            chain.steps.append(_Step(forward=output.bytes))
            self.values[node.id] = output
            return chain
        seen, layers = [inputs[0]], shaped.layers
        for i, layer in enumerate(layers):
            if layer.kind == "parameter":
                chain.steps.append(_Step(weights=layer.parameters))
                continue
            x = self._input_of(layer, seen)
            y = self._tensor(layer.out_channels, layer.size, layer.frames, self.compute)
            step = _Step(gradient=x.bytes, weights=layer.parameters)
            last = i == len(layers) - 1
            activated = False
            if layer.kind in WEIGHTED:
                self._convolve(step, layer, x, y)
            elif layer.kind == "norm":
                y.width = x.width
                step.kept, step.forward = self._keep(x), y.bytes
                # The norm at the end of a branch has no activation: the sum or the other branch follows.
                activated = primitive.ends_activated if last else not self._ends_branch(layers[i + 1], [*seen, y])
            elif layer.kind == "pool":
                self._pool(step, primitive, x, y)
            elif layer.kind == "move":
                y.width = x.width
                step.forward = y.bytes
                summed = y.channels == seen[-1].channels
                chain.residual = last and summed
                activated = chain.residual and any(m.kind == "norm" for m in layers) and primitive.activated_sum
                activated = activated or primitive.keeps_output
                step.kept = self._keep(inputs[0]) if primitive.multiplies else 0
            else:  # attention and recurrence store their factors
                y.width = 4 if primitive.full_precision else y.width
                scores = primitive.kept_heads(y.channels) * (y.elements // y.channels) * prod(layer.kernel)
                # Queries, keys and values; or the gates of a recurrence and its states.
                factors = GATED if layer.kind == "recurrent" else 3
                step.kept = self._keep(x) + factors * y.bytes + scores * y.width
                step.forward, step.backward = 2 * y.bytes + 8 * scores, 3 * y.bytes + 8 * scores
            if activated:
                step.kept += self._keep(y)
                if node.activation not in IN_PLACE:
                    y = replace(y, kept=False)
                elif layer.kind == "norm" and node.norm == "instance":
                    step.backward += 2 * y.bytes  # autograd copies the gradient of a view changed in place
            chain.steps.append(step)
            seen.append(y)
        whole = shaped.output
        if seen[-1].channels != whole.channels:  # branches concatenated without a layer
            seen.append(self._tensor(whole.channels, whole.size, whole.frames, seen[-1].width))
        self.values[node.id] = seen[-1]
        return chain

    def _tensor(self, channels: int, size: tuple[int, ...], frames: int, width: int) -> _Tensor:
        return _Tensor(channels, size, channels * prod(size) * frames * self.batch, width)

    def _ends_branch(self, following: Layer, seen: list[_Tensor]) -> bool:
        """Whether the layer after a norm adds its output, or reads the node's input."""
        if following.kind == "move":
            return following.out_channels == seen[-1].channels
        return self._input_of(following, seen) is seen[0]

    def _input_of(self, layer: Layer, seen: list[_Tensor]) -> _Tensor:
        """Return the latest tensor with the layer's input channels; without one, the latest tensor so widened."""
        for x in reversed(seen):
            if x.channels == layer.in_channels:
                return x
        x = seen[-1]
        if layer.kind == "linear" and layer.in_channels == x.channels * prod(x.size):  # flattened
            return x
        return _Tensor(layer.in_channels, x.size, x.elements // x.channels * layer.in_channels, x.width)

    def _keep(self, x: _Tensor) -> int:
        """Store a tensor; return the additional bytes."""
        if x.kept:
            return 0
        x.kept = True
        return x.bytes

    def _convolve(self, step: _Step, layer: Layer, x: _Tensor, y: _Tensor) -> None:
        cast = self.bf16 and x.width == 4
        step.kept = x.elements * 2 if cast else self._keep(x)
        source, target = x.elements * self.compute, y.bytes
        if self.cuda or layer.kind == "linear":
            step.forward = target
            step.backward = source if cast else 0
        elif layer.depthwise:
            # Computed in chunks (voxnas.nn.ops.depthwise); with a stride the gradient is upsampled first.
            step.forward = target + 2 * target * _piece(layer, self.batch)
            step.backward = 2 * source * _piece(layer, self.batch) + (source if source > target else 0)
        elif layer.kind == "conv" and layer.kernel[-1] == 1 and prod(layer.kernel) > 1 and not self.bf16:
            columns = prod(layer.kernel) * source  # computed as a matrix product of all taps
            step.forward, step.backward = target + columns, columns
        elif layer.kind == "conv" and prod(layer.kernel) == 1 and not self.bf16:
            step.forward = target
            step.backward = max(source, target)
        else:
            blocked_in = 0 if layer.in_channels <= PLAIN_INPUT else source * _padding(layer.in_channels)
            blocked_out = target * _padding(layer.out_channels)
            step.forward = max(blocked_in + blocked_out, blocked_out + target)
            step.backward = blocked_in + blocked_out
            if layer.kind == "transposed":
                step.backward += target  # the gradient is copied from that of the concatenation

    def _pool(self, step: _Step, primitive: Primitive, x: _Tensor, y: _Tensor) -> None:
        # A mean over all places, or over all frames, stores nothing.
        if prod(y.size) == 1 or (primitive.ends_time and not primitive.keeps_positions):
            y.width = x.width
        elif x.width == 2 and not self.cuda:
            step.kept, y.width = 4 * x.elements, 4
        else:
            step.kept, y.width = self._keep(x), x.width
        if primitive.keeps_positions:
            step.kept += 8 * y.elements
        step.forward = y.bytes
        step.backward = x.elements * (y.width - x.width)

    def peak(self, moments: int) -> float:
        """Compute the largest sum of bytes at any moment of a step."""
        parameters = sum(step.weights for chain in self.chains.values() for step in chain.steps)
        live: float = parameters * (4 + 4 * moments + (2 if self.bf16 else 0)) + self.values[INPUT].bytes
        highest = live
        for chain in self.chains.values():
            for step in chain.steps:
                highest = max(highest, live + step.forward)
                live += step.kept
        loss, released, during = self._loss()
        live += loss
        highest = max(highest, live + during)
        live -= released
        gradients = {identity: float(self.values[identity].bytes) for identity in self.graph.outputs}
        nodes = self.graph.by_id()
        for identity, chain in reversed(self.chains.items()):
            node = nodes[identity]
            flowing = gradients.pop(identity, 0.0)
            pending = sum(gradients.values())
            held = flowing if chain.residual else 0.0
            for step in reversed(chain.steps):
                gradient = step.gradient if len(node.inputs) == 1 else flowing
                highest = max(highest, live + pending + held + flowing + gradient + step.backward)
                live += 4 * step.weights - step.kept
                flowing = gradient
            for slot, i in enumerate(i for i in node.inputs if i != INPUT):
                # The parts of a concatenation's gradient are views, and the first keeps the whole alive.
                add = 0.0 if slot else flowing
                if i in gradients:
                    highest = max(highest, live + sum(gradients.values()) + add + self.values[i].bytes)
                    add = self.values[i].bytes - gradients.pop(i)
                    gradients[i] = float(self.values[i].bytes)
                else:
                    gradients[i] = add
        return highest

    def _loss(self) -> tuple[float, float, float]:
        """Return the bytes stored by the loss, released by its backward pass, and used temporarily."""
        kept = during = released = 0.0
        for identity in self.graph.outputs:
            logits = self.values[identity]
            places = logits.elements // logits.channels
            kept += 12 * logits.elements + 8 * places + logits.bytes
            released += 12 * logits.elements
            during = max(during, 16.0 * logits.elements)
        return kept, released, during


def _piece(layer: Layer, batch: int) -> float:
    """Fraction of a tensor in one chunk of a depthwise convolution."""
    return min(1.0, BLOCK / (layer.out_channels * batch))


def _padding(channels: int) -> float:
    return -(-channels // BLOCK) * BLOCK / channels


def training_mib(
    architecture: Architecture,
    patch: Sequence[int],
    batch: int,
    bf16: bool,
    cuda: bool = False,
    moments: int = 2,
) -> float:
    """Predict the peak memory of a training step in MiB, above the memory of the idle process.

    Parameters
    ----------
    architecture : Architecture
        A network (not the linear baseline).
    patch : sequence of int, (D, H, W) or (T, D, H, W)
        Voxels of one sample.
    batch : int
        Samples of a step.
    bf16 : bool
        Whether autocast is enabled.
    cuda : bool
        Whether to predict the peak of a GPU's allocator (without reordering) instead of the resident set of a process.
    moments : int
        Optimizer states per parameter: 2 for Adam, 1 for SGD with momentum.
    """
    replay = _Replay(expand(architecture), patch, batch, bf16, cuda)
    return replay.peak(moments) / MIB
