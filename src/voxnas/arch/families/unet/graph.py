"""U-Nets (Cicek et al. 2016; Isensee et al. 2021): encoder, decoder, skips by concatenation."""

from __future__ import annotations

from voxnas.arch.families.staged.graph import add_chain, add_encoder, begin
from voxnas.arch.families.unet.record import UNet
from voxnas.arch.graph import Graph
from voxnas.arch.layers import total


def unet_graph(architecture: UNet) -> Graph:
    """Spell out a U-Net.

    The decoder goes up by transposed convolutions whose kernel is the stride, joins the encoder's
    output of the same size, and applies the decoder's blocks of that stage. With deep supervision all decoder
    outputs but the lowest have a head, as in nnU-Net.
    """
    graph = begin(architecture)
    skips = add_encoder(graph, architecture)
    at, decoded = skips[-1], {}
    for stage in reversed(range(len(architecture.decoder_blocks))):
        up = graph.add("transposed", at, architecture.widths[stage], stride=architecture.strides[stage + 1])
        joined = graph.add("concat", (skips[stage], up))
        one = (1,) * len(architecture.strides[0])
        block, count = architecture.decoder_block[stage], architecture.decoder_blocks[stage]
        at = add_chain(graph, architecture, stage, joined, block, count, one)
        decoded[stage] = at
    if not decoded:
        decoded[0] = at
    supervised = len(decoded) - 1 if architecture.deep_supervision else 1
    heads = [graph.add("pointwise_head", decoded[stage], architecture.out_channels) for stage in range(supervised)]
    return graph.finish(*heads, divisor=total(architecture.strides))
