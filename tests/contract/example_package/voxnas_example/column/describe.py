"""Description of a column."""

from voxnas.arch.families.description import Description, Stage, channels_of, strided_sizes


def describe_column(architecture, size):
    stages = [
        Stage("encoder", number, architecture.width, 1, block, size=own)
        for number, (block, own) in enumerate(
            zip(architecture.blocks, strided_sizes(size, architecture.strides), strict=True)
        )
    ]
    return Description(tuple(stages), f"a column; {channels_of(architecture)}")
