"""The command of a search that is a single job, with real trainings in processes of their own."""

from types import SimpleNamespace

from plans import space_file
from tiny_training import new_study, write_folds  # noqa: F401 - a fixture

from voxnas.cli import discover
from voxnas.cli.main import main
from voxnas.core.errors import TRY_AGAIN
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.trial import Result
from voxnas.io.records import read_json, read_record, write_json
from voxnas.training import parent

SPACE = space_file("cells-unet")
SPACE["cell"] = {"nodes": 1, "operations": ["plain", "skip"]}
SPACE["parameters"] |= {"stages": 2, "base_width": 2}


def test_an_interrupted_gradient_search_continues_to_its_network(new_study, capsys):  # noqa: F811
    paths = new_study("segmentation", scans=8)
    write_folds(paths, 2, 4)
    raw = {"methods": ["scnas"], "options": {"scnas": {"trials": 2}}, "budget": {"amount": 4}, "limits": {}}
    names = {"name": "scnas", "method": "scnas", "baseline": None, "space": SPACE}
    write_json(paths.spec("search-scnas"), stage_spec(parse_settings({"search": raw}), "search", **names))
    command = ["discover", "--study", str(paths.root), "--search", "scnas", "--options=--recompute 1"]
    assert main([*command, "--deadline", "0"]) == TRY_AGAIN
    assert not paths.step("scnas", 0).exists()
    assert main(command) == 0
    assert "scnas: 1 networks" in capsys.readouterr().out
    result = read_record(paths.step("scnas", 0) / "result.json", Result)
    assert result.state == "DONE" and {"relaxed", "inherited"} <= set(result.metrics)
    assert read_json(paths.step("scnas", 0) / "run.json")["cpu_seconds"] > 0
    launched = [read_json(file)["recompute"] for file in paths.store.glob("*/launch.json")]
    assert launched == [1, 1]


def test_a_training_that_fails_is_reported_to_the_search(monkeypatch):
    failed = parent.Trained({"state": "FAILED", "reason": "out of memory"})
    monkeypatch.setattr(parent, "train", lambda *given: failed)
    monkeypatch.setattr("voxnas.cli.train.launch_options", lambda arguments: {})
    found = discover._Trainer(SimpleNamespace(study=None)).train(None)
    assert (found.failure, found.score, found.curve) == ("out of memory", None, "")
