"""Description of a U-Net."""

from collections.abc import Sequence

from voxnas.arch.families.description import Description, Stage
from voxnas.arch.families.staged.describe import encoder_stages, summarize
from voxnas.arch.families.unet.record import UNet


def describe_unet(architecture: UNet, size: Sequence[int]) -> Description:
    """The stages of the encoder and of the decoder, on an input (D, H, W)."""
    encoder = encoder_stages(architecture, size)
    decoder = [
        Stage("decoder", beside.stage, beside.channels, blocks, beside.kernel, size=beside.size)
        for beside, blocks in zip(encoder, architecture.decoder_blocks, strict=False)
    ]
    supervision = ["deep supervision"] if architecture.deep_supervision else []
    return Description((*encoder, *reversed(decoder)), summarize(architecture, *supervision), returns=True)
