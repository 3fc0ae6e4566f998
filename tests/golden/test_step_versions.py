"""Digests of the code of each stage, which detect changes that may require a higher number in STEP_VERSIONS.

Snakemake does not detect changes of imported modules. When this test fails and the change alters the results of a
stage, raise its number in ``voxnas.core.spec.STEP_VERSIONS``. Then, in either case, run

    python tests/golden/test_step_versions.py
"""

import ast
import hashlib
import json
import pkgutil
import re
import shutil
from functools import cache
from pathlib import Path

import pytest

from voxnas.core.spec import STEP_VERSIONS

SOURCE = Path(__file__).parents[2] / "src"
GOLDEN = Path(__file__).with_name("step_versions.json")
ROOTS = {
    "index": ["voxnas.cli.index", "voxnas.cli.phantom"],
    "spatial": ["voxnas.cli.spatial"],
    "preprocess": ["voxnas.cli.plan", "voxnas.cli.preprocess"],
    "splits": ["voxnas.cli.split"],
    "calibrate": ["voxnas.cli.calibrate"],
    "search": ["voxnas.cli.propose", "voxnas.search.arrival"],
    "train": ["voxnas.cli.train", "voxnas.cli.discover", "voxnas.training.worker"],
    "select": ["voxnas.cli.select"],
    "evaluate": ["voxnas.cli.evaluate", "voxnas.cli.crossvalidate"],
    "derive": ["voxnas.cli.derive"],
    "prune": ["voxnas.cli.prune"],
    "profile": ["voxnas.cli.profile"],
    "benchmark": ["voxnas.cli.benchmark"],
    "figures": ["voxnas.cli.figures"],
    "report": ["voxnas.cli.report"],
}
# Settings and paths reach a stage through its spec and its arguments.
NEUTRAL = {"voxnas.core.settings", "voxnas.core.spec", "voxnas.core.paths", "voxnas.core.errors"}


@cache
def code(file: Path) -> ast.Module:
    """Syntax tree of a module without docstrings."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.Pass()
    return tree


@cache
def content(file: Path) -> str:
    """The code of a module, and the templates that it names."""
    templates = sorted(set(re.findall(r"[\w.]+\.j2", file.read_text())))
    return "\n".join([ast.dump(code(file)), *((file.parent / name).read_text() for name in templates)])


class Sources:
    """The modules of a source folder and their imports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, name: str) -> Path | None:
        path = self.folder / Path(*name.split("."))
        return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)

    def members(self, package: str) -> set[str]:
        folder = self.folder / Path(*package.split("."))
        return {f"{package}.{found.name}" for found in pkgutil.iter_modules([str(folder)])}

    @cache  # noqa: B019 - two objects, for the length of one test module
    def loaded(self, name: str) -> set[str]:
        """The modules that a module loads, including imports inside functions.

        These are imported modules, modules named in strings (all modules of a named package), all modules of a package
        that lists itself, and the parent packages.
        """
        names = {name}
        for node in ast.walk(code(self.file(name))):
            match node:
                case ast.Import():
                    names |= {alias.name for alias in node.names}
                case ast.ImportFrom(module=str(module)):
                    names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
                case ast.Constant(value=str(text)) if re.fullmatch(r"voxnas(\.\w+)+", text):
                    names |= {text, *self.members(text)}
                case ast.Attribute(attr="iter_modules"):
                    names |= self.members(name)
        names |= {name.rpartition(".")[0] for name in names}
        return {name for name in names if name.startswith("voxnas.") and self.file(name)}

    def digest(self, roots: list[str]) -> str:
        """Digest of all code that the roots load."""
        seen: set[str] = set()
        queue = list(roots)
        while queue:
            name = queue.pop()
            if name not in seen and name not in NEUTRAL:
                seen.add(name)
                queue += self.loaded(name)
        lines = (f"{name} {content(self.file(name))}" for name in sorted(seen))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def stages(self) -> dict[str, str]:
        return {stage: self.digest(roots) for stage, roots in ROOTS.items()}


def current() -> dict[str, dict[str, object]]:
    codes = Sources(SOURCE).stages()
    return {stage: {"version": version, "code": codes[stage]} for stage, version in STEP_VERSIONS.items()}


@pytest.fixture(scope="module")
def stages() -> dict[str, dict[str, object]]:
    return current()


def test_every_stage_has_roots() -> None:
    assert set(ROOTS) == set(STEP_VERSIONS)


@pytest.mark.parametrize("stage", ROOTS)
def test_code_of_stage_is_the_recorded_one(stage: str, stages: dict[str, dict[str, object]]) -> None:
    assert json.loads(GOLDEN.read_text())[stage] == stages[stage], __doc__


def changed_stages(tmp_path: Path, module: str, old: str, new: str) -> set[str]:
    """Stages whose digest changes after an edit of a module."""
    copy = Sources(tmp_path / "src")
    shutil.copytree(SOURCE, copy.folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    file = copy.file(module)
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    before = Sources(SOURCE).stages()
    return {stage for stage, digest in copy.stages().items() if digest != before[stage]}


def test_an_operator_is_code_of_the_stages_that_compute_with_networks(tmp_path: Path) -> None:
    """No module imports an operator by name: the package of operators loads all of its modules."""
    old, new = "self.second(self.first(x)) + self.skip(x)", "(self.second(self.first(x)) + self.skip(x)) / 2"
    stages = changed_stages(tmp_path, "voxnas.nn.ops.convolution", old, new)
    assert stages == {"calibrate", "train", "evaluate", "profile", "prune"}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n")
    print(f"wrote {GOLDEN.name}")
