import json
import subprocess
import sys

import pytest
from plans import space_file, volume_plan

from voxnas.cli.main import main
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_record, write_json


@pytest.fixture
def study(tmp_path):
    """A study with a plan and the spec of a random search."""
    search = {"window": 1, "budget": {"amount": 64}, "limits": {"parameters": 300_000}, "finalists": 2}
    settings = parse_settings({"seed": 1, "search": search, "training": {"budget": {"amount": 99}}})
    names = {"name": "random", "method": "random", "baseline": None, "space": space_file("unet")}
    write_json(tmp_path / "preprocess" / "plan.json", volume_plan())
    write_json(tmp_path / "spec" / "search-random.json", stage_spec(settings, "search", **names))
    write_json(tmp_path / "spec" / "select.json", stage_spec(settings, "select"))
    return tmp_path


def step(study, k, kind="proposal"):
    return study / "search" / "random" / "steps" / str(k) / f"{kind}.json"


def propose(study, k):
    arguments = ["--study", str(study), "--search", "random", "--step", str(k), "--output", str(step(study, k))]
    return main(["propose", *arguments])


def finish(study, k, score):
    key = read_record(step(study, k), Proposal).key
    write_json(step(study, k, "result"), Result(state="DONE", key=key, score=score, macs=10, parameters=5, samples=64))


def test_propose_summarize_and_select(study, capsys):
    for k in range(3):
        assert propose(study, k) == 0
        finish(study, k, 0.5 + 0.1 * k)
    assert "random step 2: random " in capsys.readouterr().out
    table = study / "search" / "random" / "trials.tsv"
    front = table.with_name("front.tsv")
    summary = ["--study", str(study), "--search", "random", "--steps", "3", "--output", str(table)]
    assert main(["summarize", *summary, "--front", str(front)]) == 0
    assert [line.split("\t")[0] for line in front.read_text().splitlines()] == ["step", "2"]
    assert [line.split("\t")[0] for line in table.read_text().splitlines()] == ["step", "0", "1", "2"]
    output = study / "finalists.json"
    for searches in ("random=3", "random"):
        output.unlink(missing_ok=True)
        assert main(["select", "--study", str(study), "--searches", searches, "--output", str(output)]) == 0
        networks = json.loads(output.read_text())["networks"]
        assert [(n["name"], n["search_score"], n["samples"]) for n in networks] == [
            ("random-1", pytest.approx(0.7), 99),
            ("random-2", pytest.approx(0.6), 99),
        ]


def test_written_again_the_bytes_are_the_same(study):
    propose(study, 0)
    before = step(study, 0).read_bytes()
    propose(study, 0)
    assert step(study, 0).read_bytes() == before


def test_a_missing_result_is_named_in_one_line(study, capsys):
    propose(study, 0)
    assert propose(study, 1) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "steps/0/result.json does not exist" in error


def test_a_missing_spec_is_named(tmp_path, capsys):
    assert propose(tmp_path, 0) == 2
    assert "search-random.json does not exist" in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom voxnas.cli.main import build_parser\n"
        "for verb in ('propose', 'summarize', 'select', 'resume', 'collect'): build_parser(verb)\n"
        "assert not {'torch', 'skopt', 'numpy', 'pandas', 'pydantic', 'psutil'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
