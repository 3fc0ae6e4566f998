"""Build of the wheel: the files of the workflow become ``voxnas/project``; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PROJECT = ("Snakefile", "workflow", "config", "envs")


class BuildWithWorkflow(build_py):
    """Copy the files of the workflow; an editable installation uses the source tree."""

    def run(self) -> None:
        """Build the modules, then copy the files."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "voxnas", "project")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in PROJECT:
            if Path(name).is_dir():
                shutil.copytree(name, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.sif"))
            else:
                shutil.copy(name, target)


setup(cmdclass={"build_py": BuildWithWorkflow})
