"""Description of networks in stages."""

from collections.abc import Sequence
from math import prod

from voxnas.arch.families.description import Stage, channels_of, describe_stages, times
from voxnas.arch.families.staged.record import Staged

DOWN = {"stride": "strided convolution", "max": "max pooling", "average": "average pooling"}


def describe_encoder(architecture: Staged, size: Sequence[int]) -> list[Stage]:
    """The stages of the encoder on an input of `size` (D, H, W)."""
    kernels = map(times, architecture.kernels)
    return describe_stages(size, architecture.strides, architecture.widths, architecture.blocks, kernels)


def summarize(architecture: Staged, *further: str) -> str:
    """The choices that apply to all stages, in words, followed by `further` choices."""
    kind = f"{', '.join(dict.fromkeys(architecture.block))} blocks"
    expansions = sorted({e for e in architecture.expansion if e > 1})
    if expansions:
        kind += f" (expansion {', '.join(map(str, expansions))})"
    parts = [kind, f"{architecture.norm} norm", architecture.activation.replace("_", " ")]
    if any(prod(s) > 1 for s in architecture.strides):
        parts.append(f"downsampling by {DOWN[architecture.downsample]}")
    return f"{', '.join((*parts, *further))}; {channels_of(architecture)}"
