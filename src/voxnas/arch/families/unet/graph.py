"""U-Nets (Cicek et al. 2016; Isensee et al. 2021): encoder, decoder, skips by concatenation."""

from voxnas.arch.families.staged.graph import add_chain, add_encoder, begin
from voxnas.arch.families.unet.record import UNet
from voxnas.arch.graph import Graph
from voxnas.arch.layers import total
from voxnas.arch.parts import add_heads


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
        width, stride = architecture.widths[stage], architecture.strides[stage + 1]
        block, numbers = architecture.decoder_block[stage], range(architecture.decoder_blocks[stage])
        with graph.scope(f"decoder.{stage}"):
            up = graph.add("transposed", at, width, stride=stride, name="up")
            joined = graph.add("concat", (skips[stage], up), name="join")
            at = add_chain(graph, architecture, stage, joined, block, numbers, (1,) * len(stride))
        decoded[stage] = at
    if not decoded:
        decoded[0] = at
    supervised = len(decoded) - 1 if architecture.deep_supervision else 1
    heads = add_heads(graph, [decoded[stage] for stage in range(supervised)], architecture.out_channels)
    return graph.finish(*heads, divisor=total(architecture.strides))
