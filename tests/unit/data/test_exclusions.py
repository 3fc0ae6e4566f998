import pandas as pd
import pytest

from voxnas.cli.main import main
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import read_table, write_table

REASON = "mean framewise displacement 0.9 mm, at most 0.5"


def exclude(paths, chosen):
    """Give each chosen run a reason, list one scan that the index left out, and write the table."""
    records = read_json(paths.runs(0) / "records.json")
    for scan, record in records.items():
        record["excluded"] = REASON if scan in chosen else ""
    write_json(paths.runs(0) / "records.json", records)
    write_table(paths.scans, read_table(paths.scans, {}).assign(image=lambda t: t["scan"] + ".nii.gz"))
    gone = pd.DataFrame([{"scan": "sub-9_run-1", "file": "f.nii.gz", "reason": "empty file"}])
    write_table(paths.index_excluded, gone)
    return main(["exclude", "--study", str(paths.root), "--output", str(paths.excluded)])


def test_every_exclusion_of_any_stage_has_a_row(timed_study):
    paths = timed_study(task="regression")
    assert exclude(paths, ["sub-02_run-2"]) == 0
    assert read_table(paths.excluded, {}).to_numpy().tolist() == [
        ["sub-9_run-1", "index", "f.nii.gz", "empty file"],
        ["sub-02_run-2", "preprocess", "sub-02_run-2.nii.gz", REASON],
    ]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (
            ["sub-01_run-1", "sub-01_run-2"],
            f"no run of fold 0 is left: sub-01_run-1 ({REASON}); sub-01_run-2 ({REASON})",
        ),
        (["sub-00_run-1", "sub-00_run-2"], "no run of the test split is left: sub-00_run-1"),
    ],
)
def test_a_study_without_usable_runs_stops_and_names_them(timed_study, capsys, chosen, words):
    paths = timed_study()
    assert exclude(paths, chosen) == 2
    assert words in capsys.readouterr().err and not paths.excluded.exists()


def test_runs_of_one_class_stop_the_study(timed_study, capsys):
    paths = timed_study()  # the two folds are one participant each, with one target
    assert exclude(paths, []) == 2
    assert "outside fold 0 that are left have one class, young" in capsys.readouterr().err
    assert exclude(timed_study("volume"), []) == 0
