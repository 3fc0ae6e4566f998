"""The folder of the files that are no Python modules: Snakefile, workflow/, config/ and envs/."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def project_folder() -> Path:
    """Return ``voxnas/project`` of an installed wheel, or the folder of the source tree."""
    installed = PACKAGE / "project"
    return installed if installed.is_dir() else PACKAGE.parents[1]
