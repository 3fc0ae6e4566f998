"""The code behind each stage, as digests: a change asks whether the stage's number in STEP_VERSIONS must be raised.

Snakemake does not see that an imported module has changed. When this test fails: if the change alters what a
stage computes, raise its number in ``voxnas.core.spec.STEP_VERSIONS``; then, in either case, run

    python tests/golden/test_step_versions.py
"""

import ast
import hashlib
import json
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
    "train": ["voxnas.cli.train", "voxnas.training.worker"],
    "select": ["voxnas.cli.select"],
    "evaluate": ["voxnas.cli.evaluate", "voxnas.cli.crossvalidate"],
    "profile": ["voxnas.cli.profile"],
    "benchmark": ["voxnas.cli.benchmark"],
    "figures": ["voxnas.cli.figures"],
    "report": ["voxnas.cli.report"],
}
# Settings and the layout of folders reach a stage through its spec and its arguments.
NEUTRAL = {"voxnas.core.settings", "voxnas.core.spec", "voxnas.core.paths", "voxnas.core.errors"}


def module_file(name: str) -> Path | None:
    path = SOURCE / Path(*name.split("."))
    found = [p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()]
    return found[0] if found else None


def imported(tree: ast.AST) -> set[str]:
    """Modules of the project that a module imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.startswith("voxnas.") and module_file(name)}


@cache
def code(name: str) -> ast.Module:
    """A module without its docstrings (comments are gone already)."""
    tree = ast.parse(module_file(name).read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.Pass()
    return tree


def closure_digest(roots: list[str]) -> str:
    seen: dict[str, str] = {}
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name not in seen and name not in NEUTRAL:
            tree = code(name)
            seen[name] = ast.dump(tree)
            queue += imported(tree)
    return hashlib.sha256("\n".join(f"{n} {seen[n]}" for n in sorted(seen)).encode()).hexdigest()[:16]


def current(stage: str) -> dict[str, object]:
    return {"version": STEP_VERSIONS[stage], "code": closure_digest(ROOTS[stage])}


def test_every_stage_has_roots() -> None:
    assert set(ROOTS) == set(STEP_VERSIONS)


@pytest.mark.parametrize("stage", ROOTS)
def test_code_of_stage_is_the_recorded_one(stage: str) -> None:
    assert json.loads(GOLDEN.read_text())[stage] == current(stage), __doc__


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({stage: current(stage) for stage in ROOTS}, indent=1, sort_keys=True) + "\n")
    print(f"wrote {GOLDEN.name}")
