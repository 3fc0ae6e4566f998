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
        (), description="What joins the frames at each block of a stage; one name stands for all stages."
    )
    time_kernel: Positive = Field(3, description="Frames that a convolution along time sees, odd.")
    time_strides: tuple[Positive, ...] = Field(
        (), description="Stride in time of each stage's first convolution along time; 1 where there is none."
    )
    threshold: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Change below which the blocks `time_difference` hold a voxel, in units of their input."
    )
    time_head: TimeHead = Field("mean", description="What makes one vector of the vectors of all frames.")
    time_width: Annotated[int, Field(ge=0)] = Field(0, description="Channels of a gru or tcn head; 0 for the others.")

    temporal_blocks: ClassVar[bool] = True

    def block_options(self, stage: int) -> dict[str, Value]:
        """Options of the blocks of a stage, with those of temporal ones."""
        return {**super().block_options(stage), "threshold": self.threshold}

    @model_validator(mode="before")
    @classmethod
    def _neutral_time(cls, data: Any) -> Any:
        # A choice without effect is set to its neutral value.
        if not isinstance(data, dict):
            return data
        stages = len(data.get("widths", ()))
        temporal, strides = data.get("temporal", "none"), data.get("time_strides", 1)
        temporal = [temporal] * stages if isinstance(temporal, str) else list(temporal)
        strides = [strides] * stages if isinstance(strides, int) else list(strides)
        if temporal[:1] == ["shift"] and list(data.get("blocks", ()))[:1] == [1]:
            temporal[0] = "none"  # a shift comes before a block, and the input's channels are not shifted
        if len(temporal) == len(strides):
            strides = [s if name == "conv" else 1 for s, name in zip(strides, temporal, strict=True)]
        data = {**data, "temporal": temporal, "time_strides": strides}
        block = data.get("block", ())
        if "conv" not in temporal:
            data.pop("time_kernel", None)
        if "time_difference" not in ((block,) if isinstance(block, str) else block):
            data.pop("threshold", None)
        if data.get("time_head", "mean") in ("mean", "max"):
            data.pop("time_width", None)
        return data

    @model_validator(mode="after")
    def _time_agrees(self) -> Self:
        self.check_entries(("temporal", "time_strides"))
        if self.time_kernel % 2 == 0:
            raise ValueError("time_kernel must be odd")
        if self.time_head in ("gru", "tcn") and not self.time_width:
            raise ValueError(f"time_head {self.time_head} needs a time_width")
        return self
