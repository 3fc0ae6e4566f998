"""The families that other packages add by entry point; each has an example of a search space file beside its space."""

import inspect
from importlib.metadata import entry_points
from pathlib import Path

from voxnas.arch.families import FAMILIES


def files_of_other_packages() -> dict[str, Path]:
    """Search space file of each space, by its name."""
    others = {entry.name for entry in entry_points(group="voxnas.families")}
    spaces = [space for name in others for space in FAMILIES[name].spaces]
    return {space.name: Path(inspect.getfile(type(space))).with_name("space.yaml") for space in spaces}
