"""What the time of a network is made of: facts of its layers, in which it is nearly linear on any device.

Multiply-adds alone do not order networks by their time: on a processor a depthwise convolution
takes many times as long for one as a dense one, and a norm, which has none, as long as a small convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from voxnas.arch.families import expand
from voxnas.arch.graph import ShapedNode, infer_shapes
from voxnas.arch.layers import WEIGHTED, Layer
from voxnas.core.architecture import Architecture

LANES = 16  # a convolution computes its channels in blocks of so many, full or not
PLAIN_INPUT = 3  # so few input channels are computed as they are
IN_PLACE = ("relu", "leaky_relu")
CONVOLUTIONS = ("thin", "pointwise", "dense", "wide", "transposed", "grouped", "depthwise")
FEATURES = (
    *CONVOLUTIONS,
    "read",
    "written",
    "depthwise_written",
    "norm_instance",
    "norm_group",
    "norm_batch",
    "copied",
    "curved",
    "pooled",
    "moved",
    "attention",
    "scores",
    "recurrent",
    "voxels",
    "layers",
    "parameters",
)


def node_features(shaped: ShapedNode) -> dict[str, float]:
    """Facts of one node for one sample: billions of multiply-adds, millions of elements, layers.

    ``thin`` (few input channels), ``pointwise``, ``dense`` (kernels up to 27 taps), ``wide`` (larger), ``transposed``,
    ``grouped`` and ``depthwise`` count multiply-adds by the kind of convolution, those of dense ones with the
    channels rounded up to the vector width; ``read`` and ``written`` the elements that convolutions take and give, so
    rounded; ``norm_instance`` .. those of norms, ``copied`` those changed in place behind an instance norm,
    ``curved`` those of activations that need an exponential, ``pooled`` those that pools read, ``moved`` those
    that are moved or summed; ``attention`` multiply-adds, and ``scores`` pairs of places; ``voxels`` the places of
    all layers, whatever the channels; ``layers`` and ``parameters`` what does not grow with the input.
    """
    node, found = shaped.node, dict.fromkeys(FEATURES, 0.0)
    given = shaped.inputs[0]
    for layer in shaped.layers:
        elements, voxels = layer.elements / 1e6, layer.frames * prod(layer.size) / 1e6
        found["parameters"] += layer.parameters / 1e6
        found["layers"] += 1
        found["voxels"] += voxels
        if layer.kind in WEIGHTED:
            kind = _convolution(layer)
            found[kind] += layer.macs / 1e9 * _filling(layer, kind)
            if kind == "depthwise":
                found["depthwise_written"] += elements
            else:
                found["written"] += voxels * _rounded(layer.out_channels)
                # A layer on the node's own input reads it before any stride.
                source = prod(given.size) * given.frames / 1e6 if layer.in_channels == given.channels else voxels
                found["read"] += (source if layer.kind == "conv" else voxels) * _rounded(layer.in_channels)
        elif layer.kind == "norm":
            found[f"norm_{node.norm}"] += elements
            # A change in place of an instance norm's output, which is a view, is undone through copies in training.
            found["copied"] += elements if node.norm == "instance" and node.activation in IN_PLACE else 0
            found["curved"] += 0 if node.activation in IN_PLACE else elements
        elif layer.kind == "pool":
            found["pooled"] += elements * prod(layer.kernel)
        elif layer.kind == "move":
            found["moved"] += elements
        elif layer.kind == "attention":
            found["attention"] += layer.macs / 1e9
            found["scores"] += voxels * prod(layer.kernel)
        elif layer.kind == "recurrent":
            found["recurrent"] += layer.macs / 1e9
    return found


def features(architecture: Architecture, patch: Sequence[int], training: bool) -> dict[str, dict[str, float]]:
    """Facts of a network for one sample, by primitive: sums of :func:`node_features` over what is computed.

    Parameters
    ----------
    architecture : Architecture
        A network (not the linear baseline).
    patch : sequence of int, (D, H, W) or (T, D, H, W)
        Voxels of one sample.
    training : bool
        Whether what only training computes counts (heads of deep supervision).
    """
    graph = expand(architecture)
    needed = set(graph.needed(training))
    found: dict[str, dict[str, float]] = {}
    for shaped in infer_shapes(graph, tuple(patch)):
        if shaped.node.id in needed:
            row = found.setdefault(shaped.node.op, dict.fromkeys(FEATURES, 0.0))
            for name, value in node_features(shaped).items():
                row[name] += value
    return found


def _convolution(layer: Layer) -> str:
    if layer.depthwise:
        return "depthwise"
    if layer.groups > 1:
        return "grouped"
    if layer.kind == "transposed":
        return "transposed"
    if layer.in_channels <= PLAIN_INPUT:
        return "thin"
    taps = prod(layer.kernel)
    return "pointwise" if taps == 1 else "dense" if taps <= 27 else "wide"


def _filling(layer: Layer, kind: str) -> float:
    """Computed multiply-adds for each that counts."""
    if kind in ("depthwise", "grouped"):
        return 1.0
    return _rounded(layer.in_channels) * _rounded(layer.out_channels) / (layer.in_channels * layer.out_channels)


def _rounded(channels: int) -> int:
    return channels if channels <= PLAIN_INPUT else -(-channels // LANES) * LANES
