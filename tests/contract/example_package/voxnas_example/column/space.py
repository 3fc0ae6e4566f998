"""Search space of columns; `space.yaml` is a file of it."""

from voxnas.arch.families.space import ALWAYS, FamilySpace
from voxnas.arch.parameters import integers
from voxnas.arch.stages import stage_fields, usable_stages
from voxnas_example.column.record import Column


class ColumnSpace(FamilySpace):
    """Depth, width, and the block of each stage behind the first."""

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
        return Column(
            **stage_fields(plan, depth),
            width=values["width"],
            blocks=["plain", *(values[f"block.{i}"] for i in range(1, depth))],
        )

    def values(self, structure, architecture):
        if not isinstance(architecture, Column):
            return {}
        own = {f"block.{i}": block for i, block in enumerate(architecture.blocks)}
        return {"depth": len(architecture.blocks), "width": architecture.width, **own}
