"""A primitive, a family and strategies of another package, installed beside this one, are like the others."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from running import planned_jobs, snakemake, write_study

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
    ("name", "file", "least"),
    [("grouped", "primitives", 100), ("column", "spaces", 12), ("column", "families", 2), ("frugal", "proposers", 15)],
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


SEARCH = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(HERE.parent)!r})
from formula_study import Study
from voxnas.cli.main import main
from voxnas.core.errors import UserError
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.trial import Proposal
from voxnas.io.records import read_json, read_record, write_json

try:
    parse_settings({{"search": {{"options": {{"frugal": {{"shar": 0.2}}}}}}}})
except UserError as error:
    assert "did you mean 'search.options.frugal.share'" in str(error), error
raw = {{"methods": ["frugal", "smallest"], "options": {{"frugal": {{"share": 0.25}}, "smallest": {{"draws": 6}}}}}}
settings = parse_settings({{"search": raw}})
study = Study(Path(sys.argv[1]))
for name in ("frugal", "smallest"):
    spec = stage_spec(settings, "search", name=name, method=name, baseline=None, space=study.space)
    write_json(study.paths.spec(f"search-{{name}}"), spec)
study.run("frugal", 8)
proposals = [read_record(study.file("frugal", k, "proposal"), Proposal) for k in range(8)]
assert {{(p.samples, p.note) for p in proposals}} == {{(160, ""), (40, "large")}}
assert [p.origin for p in proposals] == ["start", *["drawn"] * 7]
root = str(study.paths.root)
assert main(["discover", "--study", root, "--search", "smallest"]) == 0
for name, steps in (("frugal", ["--steps", "8"]), ("smallest", [])):
    table = str(study.paths.trials(name))
    assert main(["summarize", "--study", root, "--search", name, *steps, "--output", table]) == 0
    assert "\\tnote\\t" in Path(table).read_text().splitlines()[0]
searches = ["--searches", "frugal=8,smallest", "--output", str(study.paths.finalists)]
assert main(["select", "--study", root, *searches]) == 0
found = read_json(study.paths.finalists)
assert found["searches"] == {{"frugal": 8, "smallest": 6}}
job = [read_record(study.file("smallest", k, "proposal"), Proposal) for k in range(6)]
assert {{p.origin for p in job}} == {{"smallest"}} and {{p.rung for p in job}} == {{0}}
assert {{n["source"] for n in found["networks"]}} == {{"frugal", "smallest"}}
"""


def test_its_strategies_search_and_their_networks_are_selected(installed, tmp_path):
    run(["-c", SEARCH, str(tmp_path)], installed)


def test_the_workflow_runs_its_single_job(installed, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", installed["PYTHONPATH"])
    study = write_study(tmp_path, search__methods=["smallest", "random"], search__options={})
    plan = snakemake(tmp_path, "--configfile", str(study), "--dry-run", "--until", "search")
    jobs = planned_jobs(plan.stdout + plan.stderr)
    assert jobs["discover"] == 1 and jobs["summarize"] == 3 and jobs["propose"] == jobs["step"] == 6


def test_a_network_can_be_built_of_it(installed):
    run(["-c", BUILD], installed)
