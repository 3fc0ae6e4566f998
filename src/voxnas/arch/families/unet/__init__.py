"""U-Nets for segmentation (Cicek et al. 2016; Isensee et al. 2021): encoder, decoder, skips by concatenation."""

from collections.abc import Sequence

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.description import Description, Stage
from voxnas.arch.families.staged.describe import describe_encoder, summarize
from voxnas.arch.families.staged.graph import add_chain, add_encoder, begin
from voxnas.arch.families.unet.record import UNet
from voxnas.arch.families.unet.space import UNetSpace
from voxnas.arch.graph import Graph
from voxnas.arch.layers import total
from voxnas.arch.parts import add_heads


@register
class UNetFamily(Family[UNet]):
    """Encoder-decoders with skip connections."""

    record = UNet
    spaces = (UNetSpace(),)

    def graph(self, architecture: UNet) -> Graph:
        """Expand a U-Net.

        A decoder stage is a transposed convolution whose kernel is the stride, the concatenation with the encoder's
        output of the same size, and the blocks of the stage. With deep supervision all decoder outputs but the lowest
        have a head, as in nnU-Net.
        """
        graph = begin(architecture)
        skips = add_encoder(graph, architecture)
        decoded = [skips[-1]]  # from full resolution down to the bottleneck
        for stage in reversed(range(len(architecture.decoder_blocks))):
            width, stride = architecture.widths[stage], architecture.strides[stage + 1]
            block, numbers = architecture.decoder_block[stage], range(architecture.decoder_blocks[stage])
            with graph.scope(f"decoder.{stage}"):
                up = graph.add("transposed", decoded[0], width, stride=stride, name="up")
                joined = graph.add("concat", (skips[stage], up), name="join")
                at = add_chain(graph, architecture, stage, joined, block, numbers, (1,) * len(stride))
            decoded.insert(0, at)
        supervised = len(decoded) - 2 if architecture.deep_supervision else 1
        heads = add_heads(graph, decoded[:supervised], architecture.out_channels)
        return graph.finish(*heads, divisor=total(architecture.strides))

    def describe(self, architecture: UNet, size: Sequence[int]) -> Description:
        """Describe the stages of the encoder and of the decoder, on an input of `size` (D, H, W)."""
        encoder = describe_encoder(architecture, size)
        decoder = [
            Stage("decoder", beside.stage, beside.channels, blocks, beside.kernel, size=beside.size)
            for beside, blocks in zip(encoder, architecture.decoder_blocks, strict=False)
        ]
        supervision = ["deep supervision"] if architecture.deep_supervision else []
        return Description((*encoder, *reversed(decoder)), summarize(architecture, *supervision), returns=True)
