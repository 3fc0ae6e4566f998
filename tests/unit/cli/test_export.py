import json
import os
from importlib.util import find_spec

import pandas as pd
import pytest
from formula_study import study  # noqa: F401 - a fixture

from voxnas.cli.main import main
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import read_table

needs_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="the extra `export` is not installed")
needs_pyarrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="the extra `export` is not installed")


@pytest.fixture
def searched(study):  # noqa: F811
    """A study with a promoted search, whose sixth step failed, and a search of two objectives."""
    found = study("random", "voxnas", promotion="asha", options={"asha": {"rungs": 2, "factor": 2}})
    found.add_search("voxnas", "random", objectives=["score", "macs"], promotion="")
    found.run("random", 8, failed=(5,))
    found.run("voxnas", 3)
    for step in range(8):
        folder = found.paths.step("random", step)
        (folder / "curve.tsv").write_text(f"samples\tval_score\n{10 + step}\t0.5\n")
        write_json(folder / "run.json", {"cpu_seconds": 12.0, "wall_seconds": 60.0})
        os.utime(folder / "result.json", (1_800_000_000 + 100 * step,) * 2)
    return found


@pytest.mark.parametrize(("name", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_the_trials_of_all_searches_are_one_table(searched, name, read, capsys):
    if name == "parquet" and find_spec("pyarrow") is None:
        pytest.skip("the extra `export` is not installed")
    assert main(["export", str(searched.paths.root), "--to", name]) == 0
    file = searched.paths.root / "export" / f"trials.{name}"
    assert capsys.readouterr().out.strip() == str(file)
    table = read(file)
    assert table.search.tolist() == ["random"] * 8 + ["voxnas"] * 3 and table.step.tolist() == [*range(8), *range(3)]
    assert table.state[5] == "FAILED" and table.reason[5] == "diverged" and pd.isna(table.score[5])
    assert table.weight_decay.dtype == float and table.deep_supervision.dropna().isin([True, False]).all()
    assert table.measured_cpu_seconds[:8].eq(12).all() and table.measured_cpu_seconds[8:].isna().all()


@needs_optuna
def test_each_search_is_a_study_of_optuna(searched):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    assert main(["export", str(searched.paths.root), "--to", "optuna"]) == 0
    folder = searched.paths.root / "export"
    assert [file.name for file in folder.iterdir()] == ["optuna.journal"]  # no lock remains
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna.journal")))
    random = optuna.load_study(study_name="study/random", storage=storage)
    records = searched.records("random", 8)
    last = {proposal.trial: proposal for proposal in records}
    assert len(last) < 8  # some step continues an earlier one
    assert [trial.user_attrs["trial"] for trial in random.trials] == list(last)
    for trial, proposal in zip(random.trials, last.values(), strict=True):
        result = read_json(searched.file("random", proposal.step, "result"))
        steps = [p.step for p in records if p.trial == proposal.trial]
        assert trial.params == proposal.config and trial.user_attrs["network"] == proposal.key
        assert trial.values == (None if result["score"] is None else [result["score"]])
        assert trial.intermediate_values == {10 + step: 0.5 for step in steps}
        assert trial.datetime_start.timestamp() == 1_800_000_000 + 100 * steps[0] - 60
        assert trial.datetime_complete.timestamp() == 1_800_000_000 + 100 * steps[-1]
    (failed,) = random.get_trials(states=[optuna.trial.TrialState.FAIL])
    assert failed.user_attrs["reason"] == "diverged"
    assert random.best_value == max(trial.value for trial in random.trials if trial.values)
    both = optuna.load_study(study_name="study/voxnas", storage=storage)
    assert [direction.name for direction in both.directions] == ["MAXIMIZE", "MINIMIZE"]
    macs = [read_json(searched.file("voxnas", step, "result"))["macs"] for step in range(3)]
    assert [trial.values[1] for trial in both.trials] == macs and both.best_trials


@pytest.mark.parametrize(("package", "name"), [("optuna", "optuna"), ("pyarrow", "parquet")])
def test_a_missing_package_is_named(searched, package, name, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    assert main(["export", str(searched.paths.root), "--to", name]) == 2
    assert f"{package.title() if package == 'optuna' else package} is not installed" in capsys.readouterr().err


def test_a_finished_study_is_a_workflow_run_crate(fake_segmentation, write_benchmark, capsys):
    paths = fake_segmentation
    export = ["export", str(paths.root), "--to", "ro-crate"]
    assert main(export) == 2 and "report.html does not exist" in capsys.readouterr().err
    write_benchmark(paths)
    paths.figures.mkdir()
    for name in ("bayesian", "random", "baseline-small"):
        call = ["summarize", "--study", str(paths.root), "--search", name, "--output", str(paths.trials(name))]
        assert main(call) == 0
    (paths.root / "report.html").write_text("report")
    write_json(paths.settings, {"study": "fake"})
    write_json(paths.root / "model" / "model.json", {})
    run = {
        "host": "box", "device": "EPYC", "cpu_seconds": 60.0, "wall_seconds": 60.0, "versions": {"torch": "2"},
        "launcher": "single", "processes": 1,
    }  # fmt: skip
    write_json(paths.store / "0" / "run.json", run)
    os.utime(paths.store / "0" / "run.json", (1_800_000_060,) * 2)
    os.utime(paths.root / "report.html", (1_800_000_360,) * 2)
    for _ in range(2):  # the second replaces the first
        assert main(export) == 0
    crate = paths.root / "export" / "ro-crate"
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph)
    run, root = entities["#run"], entities["./"]
    assert (run["startTime"], run["endTime"]) == ("2027-01-15T08:00:00+00:00", "2027-01-15T08:06:00+00:00")
    assert run["instrument"] == root["mainEntity"] == {"@id": "Snakefile"} and root["mentions"] == {"@id": "#run"}
    for part in root["hasPart"]:
        assert (crate / part["@id"]).exists() and part["@id"] in entities
    local = {reference["@id"] for entity in graph for reference in references(entity)}
    assert all(name in entities or name.startswith("https://") for name in local)
    assert read_table(crate / "results" / "leaderboard.tsv", {}).equals(read_table(paths.leaderboard, {}))
    assert not list(crate.rglob("*.nii.gz"))


def references(value):
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value
        else:
            for part in value.values():
                yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{study}"], "--to is missing"),
        (["{study}", "--to", "csv", "onnx"], "--to csv onnx does not fit"),
        (["{study}", "--to", "onnx"], "is not a model folder"),
        (["{model}", "--to", "csv"], "(a model)"),
        (["nowhere", "--to", "csv"], "there is no study 'nowhere'"),
        (["{study}", "--to", "csv"], "has no finished trial"),
    ],
)
def test_what_does_not_fit_is_one_line(arguments, message, tmp_path, capsys):
    (tmp_path / "study" / "spec").mkdir(parents=True)
    write_json(tmp_path / "model" / "model.json", {})
    arguments = [a.format(study=tmp_path / "study", model=tmp_path / "model") for a in arguments]
    assert main(["export", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
