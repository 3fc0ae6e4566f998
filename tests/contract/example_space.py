"""A family of spaces as another package has it: columns of convolutions of one width.

Its ``pyproject.toml`` says  [project.entry-points."voxnas.spaces"]  column = "example_space:COLUMN".
"""

from voxnas.arch.architecture import CNN
from voxnas.arch.baselines import usable_stages
from voxnas.arch.parameters import integers
from voxnas.arch.spaces.base import ALWAYS, Family


class Column(Family):
    """Networks by depth, width, and the block of each stage behind the first."""

    name = "column"
    tasks = ("classification", "regression")
    keys = ("deepest",)

    def domains(self, structure):
        deepest = structure.get("deepest", 4)
        if deepest not in range(1, 6):
            raise ValueError(f"deepest = {deepest!r}; allowed: 1 to 5")
        own = {f"block.{i}": ("plain", "inverted", "separable") for i in range(1, deepest)}
        return {"depth": integers(1, deepest), "width": integers(2, 64), **own}

    def required(self, structure, given):
        deepest = structure.get("deepest", 4)
        own = {f"block.{i}": ({"depth": tuple(range(i + 1, deepest + 1))},) for i in range(1, deepest)}
        return {"depth": ALWAYS, "width": ALWAYS, **own}

    def decode(self, structure, values, plan):
        depth = min(values["depth"], usable_stages(plan))
        return CNN(
            in_channels=plan["channels"],
            out_channels=plan["outputs"],
            widths=[values["width"]] * depth,
            blocks=[1] * depth,
            strides=plan["strides"][:depth],
            kernels=plan["kernels"][:depth],
            block=["plain", *(values[f"block.{i}"] for i in range(1, depth))],
            expansion=2,
        )

    def values(self, structure, architecture):
        if not isinstance(architecture, CNN):
            return {}
        own = {f"block.{i}": block for i, block in enumerate(architecture.block)}
        return {"depth": len(architecture.widths), "width": architecture.widths[0], **own}


COLUMN = Column()
