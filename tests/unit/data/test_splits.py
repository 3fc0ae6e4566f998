import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.data.splits import make_splits, open_test
from voxnas.io.records import write_json


def cohort(participants=40, sessions=2, classes=("a", "a", "a", "b")):
    rows = [
        (f"p{p:02d}_s{s}", f"p{p:02d}", classes[p % len(classes)])
        for p in range(participants)
        for s in range(1 + p % sessions)
    ]
    return pd.DataFrame(rows, columns=["scan", "participant", "target"])


def participants_of(scans):
    return {s.split("_")[0] for s in scans}


@pytest.mark.parametrize("task", ["segmentation", "classification", "regression"])
def test_every_scan_is_in_one_place_and_no_participant_in_two(task):
    scans = cohort()
    splits = make_splits(scans, task, 0.2, 5, seed=3)
    parts = [splits["test"], *splits["folds"]]
    assert sorted(s for part in parts for s in part) == sorted(scans["scan"])
    groups = [participants_of(part) for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 40
    assert len(groups[0]) == 8
    assert {len(g) for g in groups[1:]} <= {6, 7}
    assert all(part == sorted(part) for part in parts)


def test_classes_are_shared_out():
    scans = cohort()
    splits = make_splits(scans, "classification", 0.2, 5, seed=0)
    of = dict(zip(scans["participant"], scans["target"], strict=True))
    counts = [Counter(of[p] for p in participants_of(part)) for part in (splits["test"], *splits["folds"])]
    assert counts[0] == {"a": 6, "b": 2}
    assert all(1 <= c["b"] <= 2 and 4 <= c["a"] <= 5 for c in counts[1:])


def test_only_the_seed_decides():
    scans = cohort()
    first = make_splits(scans, "classification", 0.2, 5, seed=0)
    shuffled = scans.sample(frac=1, random_state=1)
    assert make_splits(shuffled, "classification", 0.2, 5, seed=0) == first
    assert make_splits(scans, "classification", 0.2, 5, seed=1) != first


def test_at_least_one_participant_is_tested():
    assert len(make_splits(cohort(6, 1), "segmentation", 0.01, 5, seed=0)["test"]) == 1


def test_too_few_are_named():
    with pytest.raises(UserError, match=r"5 participants are too few.*splits\.folds = 5"):
        make_splits(cohort(5), "segmentation", 0.2, 5, seed=0)
    with pytest.raises(UserError, match=r"class 'b' has 2 participants"):
        make_splits(cohort(20, 1, ("a",) * 9 + ("b",)), "classification", 0.2, 5, seed=0)
    with pytest.raises(UserError, match="has no target"):
        make_splits(cohort().assign(target=None), "classification", 0.2, 5, seed=0)


def test_every_opening_of_the_test_split_is_in_the_ledger(tmp_path):
    paths = StudyPaths(tmp_path)
    write_json(paths.splits, make_splits(cohort(), "segmentation", 0.2, 5, seed=0))
    test = json.loads(paths.splits.read_text())["test"]
    assert open_test(paths, "evaluate", "k1") == test
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: open_test(paths, "evaluate", f"k{i}"), range(2, 12)))
    lines = [json.loads(line) for line in paths.ledger.read_text().splitlines()]
    assert {line["key"] for line in lines} == {f"k{i}" for i in range(1, 12)}
    assert lines[0]["reader"] == "evaluate"
    assert lines[0]["count"] == len(test)
    assert len({line["scans_digest"] for line in lines}) == 1
    assert lines[0]["time"].endswith("+00:00")
    assert not set(test) & set(lines[0].values())
