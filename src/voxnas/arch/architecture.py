"""An architecture and a recipe as data: validated, hashable, canonical JSON records.

Two records that build the same network and train it the same way are equal and have equal
keys: a choice that has no effect is set to its neutral value by the validators.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, field_serializer, field_validator, model_validator

from voxnas.arch.cell_records import Cells, Hierarchical
from voxnas.arch.primitives.base import PRIMITIVES, blocks
from voxnas.core.canonical import digest
from voxnas.core.record import Activation, ArchitectureRecord, Norm, Positive, Record, Size, Triple

Downsample = Literal["stride", "max", "average"]
TimeOperator = Literal["none", "conv", "shift", "attention"]
TimeHead = Literal["mean", "max", "gru", "tcn"]
Reads = Literal["pairs", "rows", "crosses"]


class _Staged(ArchitectureRecord):
    """What both families share: a chain of stages, each with its width, blocks and stride.

    All triples are in tensor order (D, H, W), that is (z, y, x).
    """

    in_channels: Positive
    out_channels: Positive
    widths: tuple[Positive, ...] = Field(min_length=1, description="Channels of each stage.")
    blocks: tuple[Positive, ...] = Field(description="Blocks of each stage.")
    strides: tuple[Triple, ...] = Field(description="Stride on entering each stage, (D, H, W); the first is usually 1.")
    kernels: tuple[Triple, ...] = Field(description="Kernel of each stage's convolutions, (D, H, W), odd.")
    block: tuple[str, ...] = Field((), description="Primitive of each stage's blocks; one name stands for all stages.")
    excite: tuple[bool, ...] = Field((), description="Whether squeeze-and-excitation follows each block of a stage.")
    expansion: tuple[Positive, ...] = Field((), description="Expansion of each stage's blocks; 1 where they have none.")
    norm: Norm = "instance"
    activation: Activation = "leaky_relu"
    downsample: Downsample = "stride"

    temporal_blocks: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _spread_over_stages(cls, data: Any) -> Any:
        return _spread(data, len(data.get("widths", ()))) if isinstance(data, dict) else data

    @model_validator(mode="before")
    @classmethod
    def _neutral_downsample(cls, data: Any) -> Any:
        # Without any stride there is nothing to sample down.
        if isinstance(data, dict) and all(tuple(stride) == (1, 1, 1) for stride in data.get("strides", ())):
            data = {**data, "downsample": "stride"}
        return data

    @model_validator(mode="after")
    def _lengths_agree(self) -> _Staged:
        stages = len(self.widths)
        for name in ("blocks", "strides", "kernels", "block", "expansion", "excite"):
            if len(getattr(self, name)) != stages:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {stages} stages")
        _check_blocks(self.block, self.temporal_blocks)
        if any(k % 2 == 0 for kernel in self.kernels for k in kernel):
            raise ValueError("kernels must be odd")
        return self


def _spread(data: dict[str, Any], stages: int) -> dict[str, Any]:
    """The data with one entry for each stage where one stands for all, and neutral ones where none has an effect."""
    data = dict(data)
    for name, usual in (("block", "plain"), ("expansion", 1), ("excite", False)):
        given = data.get(name, usual)
        data[name] = list(given) if isinstance(given, list | tuple) else [given] * stages
    decoder: list[str] = []
    if "decoder_blocks" in data:
        given = data.get("decoder_block") or data["block"][:-1]
        decoder = data["decoder_block"] = [given] * (stages - 1) if isinstance(given, str) else list(given)
    first = PRIMITIVES[data["block"][0]].stem if data["block"] and data["block"][0] in PRIMITIVES else "plain"
    if list(data.get("blocks", ()))[:1] == [1]:
        data["block"][:1] = [first]  # a network's first block is the stem; a stage of one block has no other
    data["kernels"] = list(data.get("kernels", ()))
    for stage in range(stages):
        names = {*data["block"][stage : stage + 1], *decoder[stage : stage + 1], *([first] if stage == 0 else [])}
        used = [PRIMITIVES[name] for name in names if name in PRIMITIVES]
        if not any("expansion" in primitive.options for primitive in used):
            data["expansion"][stage : stage + 1] = [1]
        if not any(primitive.sized for primitive in used):
            data["kernels"][stage : stage + 1] = [[min(k, 3) for k in kernel] for kernel in data["kernels"][stage:][:1]]
    return data


def _check_blocks(names: tuple[str, ...], temporal: bool = False) -> None:
    for name in names:
        if name not in blocks(temporal):
            raise ValueError(f"block {name!r} is not one of {', '.join(blocks(temporal))}")


class UNet(_Staged):
    """Encoder-decoder with skip connections, for segmentation."""

    family: Literal["unet"] = "unet"
    decoder_blocks: tuple[Positive, ...] = Field(description="Blocks of each decoder stage, from the top; stages - 1.")
    decoder_block: tuple[str, ...] = Field((), description="Primitive of each decoder stage; by default the encoder's.")
    deep_supervision: bool = Field(False, description="Also score the outputs of the lower decoder stages.")

    @model_validator(mode="after")
    def _decoder_agrees(self) -> UNet:
        for name in ("decoder_blocks", "decoder_block"):
            if len(getattr(self, name)) != len(self.widths) - 1:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {len(self.widths)} stages")
        _check_blocks(self.decoder_block)
        return self

    @model_validator(mode="after")
    def _full_resolution(self) -> UNet:
        if self.strides[0] != (1, 1, 1):
            raise ValueError("strides must begin with 1 1 1, for the output has the input's size")
        return self

    @model_validator(mode="before")
    @classmethod
    def _neutral_supervision(cls, data: Any) -> Any:
        # All decoder outputs but the lowest are supervised (as in nnU-Net): up to 3 stages that is the output alone.
        if isinstance(data, dict) and len(data.get("widths", ())) <= 3:
            data = {**data, "deep_supervision": False}
        return data


class _Headed(_Staged):
    """What families with one output for a scan share: how the encoder's map becomes a vector."""

    head_width: Annotated[int, Field(ge=0)] = Field(
        0, description="Channels of a pointwise layer before pooling; 0: none."
    )
    head_grid: Triple = Field(
        (1, 1, 1),
        exclude_if=lambda grid: tuple(grid) == (1, 1, 1),
        description="Places (D, H, W) to which the map is averaged, each with weights of its own; 1 1 1: to one.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class CNN(_Headed):
    """Encoder with global average pooling, for classification and regression.

    ``block="residual"`` is a 3D ResNet (Hara et al. 2018); ``block="plain"`` with one block a
    stage, max pooling and a pointwise `head_width` is an SFCN (Peng et al. 2021).
    """

    family: Literal["cnn"] = "cnn"


class Clip(_Headed):
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
    clips: ClassVar[bool] = True

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
    def _time_agrees(self) -> Clip:
        for name in ("temporal", "time_strides"):
            if len(getattr(self, name)) != len(self.widths):
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {len(self.widths)} stages")
        if self.time_kernel % 2 == 0:
            raise ValueError("time_kernel must be odd")
        if self.time_head in ("gru", "tcn") and not self.time_width:
            raise ValueError(f"time_head {self.time_head} needs a time_width")
        return self


class Matrix(ArchitectureRecord):
    """Network on a matrix of connections between regions, (1, R, R), for classification and regression.

    With ``reads="pairs"`` a multilayer perceptron, without hidden layers a linear model; with ``reads="crosses"`` a
    BrainNetCNN (Kawahara et al. 2017).
    """

    family: Literal["matrix"] = "matrix"
    in_channels: Positive
    out_channels: Positive
    regions: Annotated[int, Field(ge=2)] = Field(description="R, rows and columns of the matrix.")
    reads: Reads = Field(description="Each pair once, the rows, or crosses of rows and columns and then the rows.")
    edges: tuple[Positive, ...] = Field((), description="Channels of each layer of crosses.")
    nodes: Annotated[int, Field(ge=0)] = Field(0, description="Channels of each row; 0 where pairs are read.")
    hidden: tuple[Positive, ...] = Field((), description="Units of each hidden layer.")
    input_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="Before the first dense layer.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="Before each further one.")
    activation: Activation = "relu"

    @model_validator(mode="before")
    @classmethod
    def _neutral_layers(cls, data: Any) -> Any:
        # A choice without effect is set to its neutral value.
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if not data.get("hidden"):
            data.pop("dropout", None)
            if data.get("reads") == "pairs":
                data.pop("activation", None)
        return data

    @model_validator(mode="after")
    def _reader_agrees(self) -> Matrix:
        if bool(self.edges) != (self.reads == "crosses"):
            raise ValueError(f"edges = {list(self.edges)} where reads is {self.reads}; they are the layers of crosses")
        if bool(self.nodes) == (self.reads == "pairs"):
            raise ValueError(f"nodes = {self.nodes} where reads is {self.reads}; rows have channels, pairs have none")
        return self


MATRICES = ("series", "connectivity")  # views that have regions, and no voxels


class Linear(ArchitectureRecord):
    """A linear model with a choice of regularisation: a baseline on the down-sampled voxels, or on a view of a run.

    Of clips it weighs the voxels of every volume, of series the regions in the last frame, of correlations each
    pair of regions.
    """

    family: Literal["linear"] = "linear"
    in_channels: Positive
    out_channels: Positive
    voxel_mm: Annotated[float, Field(ge=0)] = Field(8.0, description="Size to which voxels are averaged; 0: none.")
    model: Literal["auto", "ridge", "logistic", "svm"] = Field(
        "auto",
        exclude_if=lambda model: model == "auto",
        description="`auto`: logistic regression for classes, ridge regression for values.",
    )
    features: Literal["values", "volume"] = Field(
        "values",
        exclude_if=lambda features: features == "values",
        description="`volume`: the number of non-zero voxels alone.",
    )

    @model_validator(mode="before")
    @classmethod
    def _neutral_voxels(cls, data: Any) -> Any:
        # A choice without effect is set to its neutral value.
        if isinstance(data, dict) and (data.get("features") == "volume" or data.get("view") in MATRICES):
            data = {name: value for name, value in data.items() if name != "voxel_mm"}
        return data


OptionValue = bool | int | float | str | tuple[int, ...] | tuple[tuple[int, ...], ...]


class Reference(ArchitectureRecord):
    """A hand-made network of the registry :data:`voxnas.arch.reference.NETWORKS`.

    Options that have their default are left out, so that equal networks have equal keys and an
    option added later changes none.
    """

    family: Literal["named"] = "named"
    name: str
    in_channels: Positive
    out_channels: Positive
    dims: Literal[1, 2, 3] = 3
    options: tuple[tuple[str, OptionValue], ...] = Field(
        (), description="Choices of the network's builder, as a mapping: a width multiplier, a variant .."
    )

    @field_validator("options", mode="before")
    @classmethod
    def _pairs(cls, options: Any) -> Any:
        return tuple(options.items()) if isinstance(options, Mapping) else options

    @model_validator(mode="after")
    def _known(self) -> Reference:
        from voxnas.arch.networks import expand  # it imports this module
        from voxnas.arch.reference import NETWORKS

        if self.name not in NETWORKS:
            raise ValueError(f"network {self.name!r} is none of {', '.join(NETWORKS)}")
        network = NETWORKS[self.name]
        if self.dims not in network.dims:
            raise ValueError(f"{self.name} is not defined in {self.dims} dimensions")
        chosen = network.choose(dict(self.options))
        object.__setattr__(self, "options", tuple(sorted(chosen.items())))
        expand(self)  # refuses values that the builder does not know
        return self

    @field_serializer("options")
    def _mapping(self, options: tuple[tuple[str, OptionValue], ...]) -> dict[str, OptionValue]:
        return dict(options)


Architecture = Annotated[
    UNet | CNN | Clip | Matrix | Cells | Hierarchical | Linear | Reference, Field(discriminator="family")
]
"""One record of any family; this is the one place that lists them."""
_architecture = TypeAdapter(Architecture)


def parse_architecture(data: dict[str, Any]) -> Architecture:
    """Validate plain data as an architecture (pydantic.ValidationError if it is none)."""
    return _architecture.validate_python(data)


def total_stride(architecture: Architecture) -> Size:
    """The factor, along (D, H, W), by which an input's size must be divisible.

    Raises
    ------
    ValueError
        For the linear baseline, which is not a network.
    """
    if isinstance(architecture, UNet | CNN):
        return tuple(prod(axis) for axis in zip(*architecture.strides, strict=True))
    from voxnas.arch.networks import expand  # it imports this module

    return expand(architecture).divisor


class Recipe(Record):
    """How a network is trained, apart from its budget."""

    optimizer: Literal["adamw", "muon", "sgd"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    schedule: Literal["poly", "cosine", "onecycle"] = "cosine"
    loss: Literal["dice_ce", "dice_focal", "ce", "mse"] = Field(
        "dice_ce", description="Segmentation: dice_ce or dice_focal; classification: ce; regression: mse."
    )
    augmentation: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Strength of all random transforms; 0: none but mirroring."
    )
    mirror: Literal["none", "left_right", "all"] = Field(
        "none", description="Axes along which patches are flipped at random, and test predictions averaged."
    )


MIRROR_AXES: dict[str, tuple[int, ...]] = {"none": (), "left_right": (2,), "all": (0, 1, 2)}
"""The axes of (D, H, W) that each setting of :attr:`Recipe.mirror` flips."""


def network_key(architecture: Architecture, recipe: Recipe, derivation: Record | None = None) -> str:
    """Identity of an architecture with its recipe: 12 hexadecimal digits, equal for equal networks.

    A network that is derived from others (:class:`voxnas.core.training.Derivation`) is another network.
    """
    derived = {} if derivation is None else {"derivation": derivation.plain()}
    return digest({"architecture": architecture.plain(), "recipe": recipe.plain(), **derived})
