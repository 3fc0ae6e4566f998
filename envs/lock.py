"""Write the lock from the environment this runs in: ``python envs/lock.py``.

The ranges of pyproject.toml say what Voxnas needs; the lock says what it was tested with. ``requirements.txt`` holds
all that ``pip install .[workflow]`` and Horovod bring along, ``requirements-dev.txt`` what ``[dev]`` adds, and
``requirements-<extra>.txt`` what each optional extra adds, which stays as it is where the extra is not installed. To
raise a version: install it, let ``make test`` pass, run this.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

from make_conda import write_conda
from packaging.requirements import Requirement

ENVS = Path(__file__).parent
# What build_horovod.py needs; torch brings setuptools too, but not on every platform.
BUILD_TOOLS = ["setuptools", "wheel", "packaging"]
# torch's own dependencies differ by machine and come with it; Horovod is built (horovod.txt).
NOT_LOCKED = re.compile(r"horovod$|triton|nvidia-|cuda-")
# Optional extras, each with a module by which it is recognised.
OPTIONAL = {"deploy": "openvino", "docs": "mkdocstrings", "export": "optuna", "hdf5": "h5py"}
HEADER = "# Written by envs/lock.py. Do not edit: change pyproject.toml or the environment, and run it again.\n"


def canonical(name: str) -> str:
    """Name of a distribution as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(requirements: list[str]) -> set[str]:
    """All distributions that these requirements bring along in this environment, themselves included."""
    found: set[str] = set()
    waiting = [(canonical(r.name), frozenset(r.extras)) for r in map(Requirement, requirements)]
    seen = set()
    while waiting:
        name, extras = item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        found.add(name)
        for requirement in map(Requirement, distribution(name).requires or []):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                waiting.append((canonical(requirement.name), frozenset(requirement.extras)))
    return found


def lines(names: set[str]) -> list[str]:
    """Lines ``name==version``, sorted; torch without the local part that names its build."""
    locked = sorted(name for name in names if not NOT_LOCKED.match(name))
    return [f"{name}=={distribution(name).version.split('+')[0]}" for name in locked]


def main() -> None:
    """Write the files of requirements and, from the first, voxnas.yaml."""
    project = tomllib.loads((ENVS.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime = closure([*project["dependencies"], *extras["workflow"], *extras["horovod"], *BUILD_TOOLS])
    chosen = {"requirements": runtime, "requirements-dev": closure(extras["dev"]) - runtime}
    for extra, module in OPTIONAL.items():
        if find_spec(module):
            chosen[f"requirements-{extra}"] = closure(extras[extra]) - runtime
    for name, names in chosen.items():
        (ENVS / f"{name}.txt").write_text(HEADER + "\n".join(lines(names)) + "\n")
    write_conda()


if __name__ == "__main__":
    main()
