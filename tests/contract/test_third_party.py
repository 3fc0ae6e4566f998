"""A primitive and a family of another package, installed beside this one, are like the others."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLE = HERE / "example_package"
BUILD = """
from voxnas.arch.families.cnn import CNN
from voxnas.arch.primitives.base import blocks
from voxnas.complexity.analytic import analyze
from voxnas.nn.build import build_network

architecture = CNN(in_channels=1, out_channels=2, widths=[4, 8], blocks=[1, 2], strides=[[1] * 3, [2] * 3],
                   kernels=[[3] * 3] * 2, block="grouped")
assert "grouped" in blocks()
network = build_network(architecture)
assert [node.op for node in network.graph.nodes[1:4]] == ["plain", "grouped", "grouped"]
assert analyze(architecture, (8, 8, 8)).parameters == sum(p.numel() for p in network.parameters())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Environment of a process that has the example package, as pip would install it."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLE / "voxnas_example", site / "voxnas_example")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    record = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (record / "entry_points.txt").write_text("\n".join(lines) + "\n")
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def run(command, environment):
    found = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    return found.stdout


@pytest.mark.parametrize(
    ("name", "file", "least"), [("grouped", "primitives", 100), ("column", "spaces", 12), ("column", "families", 2)]
)
def test_it_passes_the_tests_of_all_others(installed, name, file, least):
    tests = ["-m", "pytest", "-p", "no:cacheprovider", "-k", name, str(HERE / f"test_{file}.py")]
    passed = run(tests, installed).split(" passed")[0].split()[-1]
    assert int(passed) >= least


NONSENSE = """
import yaml
from voxnas.arch.search_space import SearchSpace
from voxnas.core.errors import UserError

for change, expected in ({"deepest": 9}, "deepest = 9; allowed: 1 to 5"), ({"deepst": 2}, "did you mean 'deepest'?"):
    try:
        SearchSpace.from_dict({"family": "column", "parameters": {}, **change}, "mine")
    except UserError as error:
        assert expected in str(error), error
    else:
        raise AssertionError(change)
"""


def test_its_family_refuses_a_wrong_file(installed):
    run(["-c", NONSENSE], installed)


def test_a_network_can_be_built_of_it(installed):
    run(["-c", BUILD], installed)
