"""Record of a U-Net."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from voxnas.arch.families.staged.record import Staged, check_blocks
from voxnas.core.record import Repeats


class UNet(Staged):
    """Encoder-decoder with skip connections, for segmentation."""

    family: Literal["unet"] = "unet"
    decoder_blocks: tuple[Repeats, ...] = Field(description="Blocks of each decoder stage, from the top; stages - 1.")
    decoder_block: tuple[str, ...] = Field((), description="Primitive of each decoder stage; by default the encoder's.")
    deep_supervision: bool = Field(False, description="Also score the outputs of the lower decoder stages.")

    @model_validator(mode="after")
    def _decoder_agrees(self) -> Self:
        self.check_entries(("decoder_blocks", "decoder_block"), missing=1)
        check_blocks(self.decoder_block)
        return self

    @model_validator(mode="after")
    def _full_resolution(self) -> Self:
        if self.strides[0] != (1, 1, 1):
            raise ValueError("strides must begin with 1 1 1, for the output has the input's size")
        return self

    @classmethod
    def neutral(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return `data` with neutral values, without deep supervision if the network has at most three stages.

        All decoder outputs but the lowest are supervised, as in nnU-Net: up to three stages only the network's output.
        """
        if len(data.get("widths", ())) <= 3:
            data["deep_supervision"] = False
        return super().neutral(data)
