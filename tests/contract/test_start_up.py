"""Modules that rules and people call often import nothing heavy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
HEAVY = {
    "core": {"torch", "skopt", "sklearn", "scipy", "pandas", "snakemake"},
    "io": {"torch", "monai", "skopt", "snakemake"},
    "search": {"torch", "monai", "snakemake"},
    "benchmark": {"torch", "monai", "snakemake"},
    "report": {"torch", "monai", "snakemake"},
    "cli": {"torch", "monai", "skopt", "snakemake"},
}


def modules(layer: str) -> list[str]:
    paths = sorted((SOURCE / "voxnas" / layer).rglob("*.py"))
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("layer", HEAVY)
def test_importing_a_layer_imports_nothing_heavy(layer):
    code = f"import sys, {', '.join(modules(layer))}; print(*sorted({HEAVY[layer]!r} & set(sys.modules)))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == []


def test_importing_the_package_imports_the_standard_library_only():
    code = "import sys, voxnas; print(*sorted({'numpy', 'pydantic', 'yaml', 'voxnas.api'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == []
