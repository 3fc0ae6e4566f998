import pytest

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.data.digest import data_digest
from voxnas.io.records import write_json, write_text


def make(root, scans="scan\tparticipant\ttarget\tsha256\na\tp\tx\t01\n", plan=None, test=(), version=1, shards=2):
    paths = StudyPaths(root)
    write_text(paths.scans, scans)
    write_json(paths.plan, plan or {"patch": [8, 8, 8]})
    write_json(paths.splits, {"test": list(test)})
    write_json(paths.spec("preprocess"), {"version": version, "preprocess": {"shards": shards}})
    return paths


def test_counts_what_changes_the_arrays(tmp_path):
    base = data_digest(make(tmp_path / "0"))
    assert data_digest(make(tmp_path / "1", shards=3)) == base
    changes = [
        {"scans": "scan\tparticipant\ttarget\tsha256\na\tp\tx\t1\n"},
        {"scans": "scan\tparticipant\ttarget\tsha256\nb\tp\tx\t01\n"},
        {"scans": "scan\tparticipant\ttarget\tsha256\na\tq\tx\t01\n"},
        {"scans": "scan\tparticipant\ttarget\tsha256\na\tp\ty\t01\n"},
        {"plan": {"patch": [8, 8, 4]}},
        {"test": ["a"]},
        {"version": 2},
    ]
    found = {data_digest(make(tmp_path / f"c{i}", **change)) for i, change in enumerate(changes)}
    for i, spatial in enumerate(
        ({"version": 1, "steps": ["motion"]}, {"version": 1, "steps": []}, {"version": 2, "steps": []})
    ):
        paths = make(tmp_path / f"s{i}")
        write_json(paths.spec("spatial"), spatial)
        found.add(data_digest(paths))
    assert len(found | {base}) == 11


def test_names_of_units_count_where_the_scans_do_not_say_them(tmp_path):
    found = set()
    for unit in ("participant", "run"):
        for i, units in enumerate(({"a": "x"}, {"a": "y"})):
            paths = make(tmp_path / unit / str(i))
            write_json(paths.splits, {"test": [], "unit": unit, "units": units, "within": unit == "run"})
            found.add((unit, data_digest(paths)))
    assert [unit for unit, _ in sorted(found)] == ["participant", "run", "run"]


def test_missing_table_and_column_are_named(tmp_path):
    paths = make(tmp_path, scans="scan\tparticipant\na\tp\n")
    with pytest.raises(UserError, match=r"scans\.tsv has no column 'sha256'"):
        data_digest(paths)
    paths.scans.unlink()
    with pytest.raises(UserError, match=r"scans\.tsv does not exist"):
        data_digest(paths)
