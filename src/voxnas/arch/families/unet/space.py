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
        """The encoder's, and those of the decoder, whose stages have the encoder's numbers."""
        decoder = {
            "decoder_blocks": integers(1, 8),
            "decoder_block": tuple(blocks()),
        }
        found = {**super().domains(structure), **decoder, "deep_supervision": BOOLEAN}
        return found | {f"{name}.{i}": domain for name, domain in decoder.items() for i in range(MOST_STAGES - 1)}

    def required(self, structure: Structure, given: Collection[str]) -> Mapping[str, Alternatives]:
        """The encoder's, and the numbers of the decoder's blocks."""
        needs = {**super().required(structure, given), "deep_supervision": ALWAYS}
        return needs | each_stage("decoder_blocks", given, range(1, MOST_STAGES - 1), further=1)

    def decode(self, structure: Structure, values: Mapping[str, Any], plan: Plan) -> UNet:
        """The record; a decoder stage has its encoder stage's block unless it has one of its own."""
        encoder = self.encoder(values, plan)
        above = range(len(encoder["widths"]) - 1)
        return UNet(
            **encoder,
            decoder_blocks=[count_blocks(values, "decoder_blocks", i) for i in above],
            decoder_block=[pick(values, "decoder_block", i, encoder["block"][i]) for i in above],
            deep_supervision=values["deep_supervision"],
        )

    def values(self, structure: Structure, architecture: ArchitectureRecord) -> Mapping[str, Any]:
        """The encoder's and the decoder's choices."""
        wanted = dict(super().values(structure, architecture))
        if isinstance(architecture, UNet):
            for name in ("decoder_block", "decoder_blocks"):
                wanted |= by_stage(name, getattr(architecture, name) or (1,))
        return wanted
