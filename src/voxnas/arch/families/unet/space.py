"""Search space of U-Nets."""

from collections.abc import Collection, Mapping
from typing import Any

from voxnas.arch.families.skeleton import MOST_STAGES
from voxnas.arch.families.space import ALWAYS, Alternatives, Structure
from voxnas.arch.families.staged.space import BOOLEAN, StagedSpace, by_stage, count_blocks, each_stage, pick
from voxnas.arch.families.unet.record import UNet
from voxnas.arch.parameters import ValueSet, integers
from voxnas.arch.primitives.base import blocks
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.plan import Plan


class UNetSpace(StagedSpace):
    """U-Nets for segmentation."""

    name = "unet"
    tasks = ("segmentation",)

    def domains(self, structure: Structure) -> Mapping[str, ValueSet]:
        """Targets of the encoder and of the decoder, whose stages have the numbers of the encoder stages."""
        decoder = {
            "decoder_blocks": integers(1, 8),
            "decoder_block": tuple(blocks()),
        }
        found = {**super().domains(structure), **decoder, "deep_supervision": BOOLEAN}
        return found | {f"{name}.{i}": domain for name, domain in decoder.items() for i in range(MOST_STAGES - 1)}

    def required(self, structure: Structure, given: Collection[str]) -> Mapping[str, Alternatives]:
        """Required targets of the encoder, and the numbers of blocks of the decoder."""
        needs = {**super().required(structure, given), "deep_supervision": ALWAYS}
        return needs | each_stage("decoder_blocks", given, range(1, MOST_STAGES - 1), further=1)

    def decode(self, structure: Structure, values: Mapping[str, Any], plan: Plan) -> UNet:
        """Return the record; by default a decoder stage has the block of the encoder stage of equal number."""
        encoder = self.encoder(values, plan)
        above = range(len(encoder["widths"]) - 1)
        return UNet(
            **encoder,
            decoder_blocks=[count_blocks(values, "decoder_blocks", i) for i in above],
            decoder_block=[pick(values, "decoder_block", i, encoder["block"][i]) for i in above],
            deep_supervision=values["deep_supervision"],
        )

    def values(self, structure: Structure, architecture: ArchitectureRecord) -> Mapping[str, Any]:
        """Choices of the encoder and of the decoder."""
        wanted = dict(super().values(structure, architecture))
        if isinstance(architecture, UNet):
            for name in ("decoder_block", "decoder_blocks"):
                wanted |= by_stage(name, getattr(architecture, name) or (1,))
        return wanted
