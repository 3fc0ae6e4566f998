"""Description of networks of stacked cells."""

from collections.abc import Mapping, Sequence

from voxnas.arch.families.description import Description, channels_of, describe_stages
from voxnas.arch.families.stacked.cell import Cell
from voxnas.arch.families.stacked.record import Stacked


def describe_stacked(
    architecture: Stacked, size: Sequence[int], cells: Mapping[str, tuple[Cell, tuple[str, ...]]]
) -> Description:
    """The stages of the skeleton, with one cell a stage of the decoder.

    Parameters
    ----------
    architecture : Stacked
    size : sequence of int, (D, H, W)
    cells : mapping of title to (Cell, names of its inputs)
    """
    kernels = ["cell"] * len(architecture.cells)
    stages = describe_stages(size, architecture.strides, architecture.widths, architecture.cells, kernels)
    if architecture.decoder:
        stages += [stage._replace(part="decoder", blocks=1, stride="") for stage in stages[-2::-1]]
    supervision = ", deep supervision" if architecture.deep_supervision else ""
    kind = f"{architecture.norm} norm, {architecture.activation.replace('_', ' ')}{supervision}"
    return Description(tuple(stages), f"{kind}; {channels_of(architecture)}", architecture.decoder, cells)
