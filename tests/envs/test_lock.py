"""Consistency of the lock, pyproject.toml and the imports of the library."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(*files: str) -> dict[str, str]:
    lines = [line for file in files for line in (ROOT / "envs" / file).read_text().splitlines()]
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    names = [canonical(name) for name, _ in pairs]
    assert len(names) == len(set(names)), "a distribution is locked twice"
    return dict(zip(names, (version for _, version in pairs), strict=True))


RUNTIME = locked("requirements.txt", "horovod.txt")
ALL = locked("requirements.txt", "requirements-dev.txt", "horovod.txt")
OPTIONAL = {
    extra: locked("requirements.txt", f"requirements-{extra}.txt") for extra in ("deploy", "docs", "export", "hdf5")
}


@pytest.mark.parametrize("text", [*PROJECT["dependencies"], *EXTRAS["workflow"], *EXTRAS["horovod"]])
def test_lock_satisfies_requirement(text):
    requirement = Requirement(text)
    assert requirement.specifier.contains(RUNTIME[canonical(requirement.name)])


@pytest.mark.parametrize("text", EXTRAS["dev"])
def test_developers_lock_satisfies_requirement(text):
    requirement = Requirement(text)
    assert requirement.specifier.contains(ALL[canonical(requirement.name)])


@pytest.mark.parametrize(("extra", "text"), [(extra, text) for extra in OPTIONAL for text in EXTRAS[extra]])
def test_lock_of_an_optional_extra_satisfies_requirement(extra, text):
    requirement = Requirement(text)
    assert requirement.specifier.contains(OPTIONAL[extra][canonical(requirement.name)])


@pytest.mark.parametrize("extra", OPTIONAL)
def test_optional_locks_agree(extra):
    others = [ALL, *OPTIONAL.values()]
    assert all(lock.get(name, version) == version for lock in others for name, version in OPTIONAL[extra].items())


def test_torch_names_no_build_and_brings_no_companions():
    assert "+" not in RUNTIME["torch"]
    assert not {"torchvision", "torchaudio", "triton"} & set(ALL)


def test_library_imports_only_what_it_declares():
    declared = {
        canonical(Requirement(text).name)
        for text in [
            *PROJECT["dependencies"],
            *EXTRAS["horovod"],
            *EXTRAS["deploy"],
            *EXTRAS["export"],
            *EXTRAS["hdf5"],
        ]
    }
    distributions = packages_distributions()
    undeclared = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            else:
                continue
            for top in {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"voxnas"}:
                if not declared & {canonical(name) for name in distributions.get(top, [top])}:
                    undeclared.add(f"{path.relative_to(ROOT)}: {top}")
    assert not undeclared
