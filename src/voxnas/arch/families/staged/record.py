"""Records of networks in stages of blocks."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from voxnas.arch.families.skeleton import Skeleton
from voxnas.arch.primitives.base import PRIMITIVES, Value, blocks
from voxnas.core.record import Positive, Repeats, Triple

Downsample = Literal["stride", "max", "average"]


class Staged(Skeleton):
    """A chain of stages of blocks."""

    blocks: tuple[Repeats, ...] = Field(description="Blocks of each stage.")
    block: tuple[str, ...] = Field((), description="Primitive of each stage's blocks; a single name is for all stages.")
    excite: tuple[bool, ...] = Field((), description="Whether squeeze-and-excitation follows each block of a stage.")
    expansion: tuple[Positive, ...] = Field((), description="Expansion of each stage's blocks; 1 if they have none.")
    downsample: Downsample = "stride"

    temporal_blocks: ClassVar[bool] = False

    @classmethod
    def neutral(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return `data` with one entry for each stage, and neutral entries for stages where a choice has no effect."""
        if all(tuple(stride) == (1, 1, 1) for stride in data.get("strides", ())):
            data["downsample"] = "stride"
        return _spread(data, len(data.get("widths", ())))

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        self.check_entries(("blocks", "strides", "kernels", "block", "expansion", "excite"))
        check_blocks(self.block, self.temporal_blocks)
        if any(k % 2 == 0 for kernel in self.kernels for k in kernel):
            raise ValueError("kernels must be odd")
        return self

    def block_options(self, stage: int) -> dict[str, Value]:
        """Options of the blocks of a stage; a primitive ignores the options that it does not have."""
        return {"expansion": self.expansion[stage]}


def _spread(data: dict[str, Any], stages: int) -> dict[str, Any]:
    """Expand single values to one entry for each stage, and set entries without effect to their neutral values."""
    for name, usual in (("block", "plain"), ("expansion", 1), ("excite", False)):
        given = data.get(name, usual)
        data[name] = list(given) if isinstance(given, list | tuple) else [given] * stages
    decoder: list[str] = []
    if "decoder_blocks" in data:
        given = data.get("decoder_block") or data["block"][:-1]
        decoder = data["decoder_block"] = [given] * (stages - 1) if isinstance(given, str) else list(given)
    first = PRIMITIVES[data["block"][0]].stem if data["block"] and data["block"][0] in PRIMITIVES else "plain"
    if list(data.get("blocks", ()))[:1] == [1]:
        data["block"][:1] = [first]  # the first block of a network is the stem, here the only block of its stage
    data["kernels"] = list(data.get("kernels", ()))
    for stage in range(stages):
        names = {*data["block"][stage : stage + 1], *decoder[stage : stage + 1], *([first] if stage == 0 else [])}
        used = [PRIMITIVES[name] for name in names if name in PRIMITIVES]
        if not any("expansion" in primitive.options for primitive in used):
            data["expansion"][stage : stage + 1] = [1]
        if not any(primitive.sized for primitive in used):
            data["kernels"][stage : stage + 1] = [[min(k, 3) for k in kernel] for kernel in data["kernels"][stage:][:1]]
    return data


def check_blocks(names: tuple[str, ...], temporal: bool = False) -> None:
    """Refuse names of primitives that cannot be blocks of a stage (`temporal`: on clips), with a ValueError."""
    for name in names:
        if name not in PRIMITIVES or not PRIMITIVES[name].block or (PRIMITIVES[name].temporal and not temporal):
            raise ValueError(f"block {name!r} is not one of {', '.join(blocks(temporal))}")


class Headed(Staged):
    """Stages with one output per scan, from the last map of the encoder."""

    head_width: Annotated[int, Field(ge=0)] = Field(
        0, description="Channels of a pointwise layer before pooling; 0: none."
    )
    head_grid: Triple = Field(
        (1, 1, 1),
        exclude_if=lambda grid: tuple(grid) == (1, 1, 1),
        description="Grid (D, H, W) to which the map is averaged; each place has its own weights. 1 1 1: global mean.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
