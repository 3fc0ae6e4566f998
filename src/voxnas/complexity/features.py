"""Features of the layers of a network in which its time is nearly linear on any device.

Multiply-adds alone do not order networks by time. On a processor a depthwise convolution takes many times as long
per multiply-add as a dense convolution, and a norm, without multiply-adds, takes as long as a small convolution.
"""

from collections.abc import Sequence
from math import prod

from voxnas.arch.families import expand, list_layers
from voxnas.arch.graph import ShapedNode, infer_shapes
from voxnas.arch.layers import WEIGHTED, Layer
from voxnas.complexity.memory_model import IN_PLACE, PLAIN_INPUT
from voxnas.core.architecture import Architecture

LANES = 16  # convolutions are computed in blocks of 16 channels, with padding
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
    """Compute the features of one node for one sample; the unit of MACs is 1e9, of elements and parameters 1e6.

    - ``thin`` (few input channels), ``pointwise``, ``dense`` (kernels of up to 27 taps), ``wide`` (larger kernels),
      ``transposed``, ``grouped`` and ``depthwise``: MACs by kind of convolution; except for the last two, channels are
      rounded up to the vector width.
    - ``read``, ``written``: input and output elements of convolutions with rounded channels; ``depthwise_written``:
      output elements of depthwise convolutions.
    - ``norm_instance``, ``norm_group``, ``norm_batch``: elements of norms; ``copied``: elements modified in place after
      an instance norm; ``curved``: elements of activations with an exponential function.
    - ``pooled``: elements read by pooling; ``moved``: elements moved or added.
    - ``attention``, ``recurrent``: MACs; ``scores``: pairs of positions in attention.
    - ``voxels``: positions of all layers, independent of channels.
    - ``layers``, ``parameters``: independent of the input size.
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
            # The output of an instance norm is a view; in training its modification in place needs copies.
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
    """Sum :func:`node_features` over the computed nodes of a network, by primitive.

    Parameters
    ----------
    architecture : Architecture
        A network (not the linear baseline).
    patch : sequence of int, (D, H, W) or (T, D, H, W)
        Voxels of one sample.
    training : bool
        Whether to include nodes that are computed in training only (heads of deep supervision).
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


def update_features(architecture: Architecture, patch: Sequence[int]) -> dict[str, float]:
    """Compute the features of one update of the weights of a network.

    ``tensors``: layers with parameters; ``parameters`` (1e6); ``orthogonal``: multiply-adds (1e9) of the Newton-Schulz
    iteration of Muon, which multiplies each matrix of m x n weights (m <= n) by its Gram matrix.
    """
    found = {"tensors": 0.0, "parameters": 0.0, "orthogonal": 0.0}
    for layer in list_layers(architecture, patch):
        found["tensors"] += layer.parameters > 0
        found["parameters"] += layer.parameters / 1e6
        if layer.kind in WEIGHTED and not layer.depthwise:
            short, long = sorted((layer.out_channels, layer.parameters // layer.out_channels))
            found["orthogonal"] += (2 * short**2 * long + short**3) / 1e9
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
    """Ratio of the computed multiply-adds, with padding, to the nominal ones."""
    if kind in ("depthwise", "grouped"):
        return 1.0
    return _rounded(layer.in_channels) * _rounded(layer.out_channels) / (layer.in_channels * layer.out_channels)


def _rounded(channels: int) -> int:
    return channels if channels <= PLAIN_INPUT else -(-channels // LANES) * LANES
