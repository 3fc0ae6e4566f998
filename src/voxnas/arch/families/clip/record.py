"""Record of a network on clips."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from voxnas.arch.families.staged.record import Headed
from voxnas.arch.primitives.base import Value
from voxnas.core.record import Positive

TimeOperator = Literal["none", "conv", "shift", "attention"]
TimeHead = Literal["mean", "max", "gru", "tcn"]


class Clip(Headed):
    """Encoder of each frame, operators along time, and a head over time, for classification and regression of clips.

    The input is (B, T, C, D, H, W). A convolution along time behind each block is (3+1)D (Tran et al. 2018), a shift
    before each is TSM (Lin et al. 2019), attention behind each is TimeSformer's (Bertasius et al. 2021). The
    primitive `time_difference` among the blocks computes only what changed between frames.
    """

    family: Literal["clip"] = "clip"
    temporal: tuple[TimeOperator, ...] = Field(
        (), description="Operator along time at each block of a stage; a single name applies to all stages."
    )
    time_kernel: Positive = Field(3, description="Frames in the kernel of a convolution along time, odd.")
    time_strides: tuple[Positive, ...] = Field(
        (), description="Stride in time of the first convolution along time of each stage; 1 without one."
    )
    threshold: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Change below which `time_difference` blocks hold a voxel, in units of their input."
    )
    time_head: TimeHead = Field("mean", description="Head that combines the vectors of all frames into one vector.")
    time_width: Annotated[int, Field(ge=0)] = Field(0, description="Channels of a gru or tcn head; 0 for the others.")

    temporal_blocks: ClassVar[bool] = True

    def block_options(self, stage: int) -> dict[str, Value]:
        """Options of the blocks of a stage, including those of temporal blocks."""
        return {**super().block_options(stage), "threshold": self.threshold}

    @classmethod
    def neutral(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return `data` with one entry for each stage, and neutral values for choices without effect."""
        stages = len(data.get("widths", ()))
        temporal, strides = data.get("temporal", "none"), data.get("time_strides", 1)
        temporal = [temporal] * stages if isinstance(temporal, str) else list(temporal)
        strides = [strides] * stages if isinstance(strides, int) else list(strides)
        if temporal[:1] == ["shift"] and list(data.get("blocks", ()))[:1] == [1]:
            temporal[0] = "none"  # a shift precedes its block, and the channels of the input are not shifted
        if len(temporal) == len(strides):
            strides = [s if name == "conv" else 1 for s, name in zip(strides, temporal, strict=True)]
        data |= {"temporal": temporal, "time_strides": strides}
        block = data.get("block", ())
        if "conv" not in temporal:
            data.pop("time_kernel", None)
        if "time_difference" not in ((block,) if isinstance(block, str) else block):
            data.pop("threshold", None)
        if data.get("time_head", "mean") in ("mean", "max"):
            data.pop("time_width", None)
        return super().neutral(data)

    @model_validator(mode="after")
    def _time_agrees(self) -> Self:
        self.check_entries(("temporal", "time_strides"))
        if self.time_kernel % 2 == 0:
            raise ValueError("time_kernel must be odd")
        if self.time_head in ("gru", "tcn") and not self.time_width:
            raise ValueError(f"time_head {self.time_head} needs a time_width")
        return self
