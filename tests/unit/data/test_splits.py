from collections import Counter

import pandas as pd
import pytest

from voxnas.core.errors import UserError
from voxnas.data.splits import make_splits


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
    parts = [splits.test, *splits.folds]
    assert sorted(s for part in parts for s in part) == sorted(scans["scan"])
    groups = [participants_of(part) for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 40
    assert len(groups[0]) == 8
    assert {len(g) for g in groups[1:]} <= {6, 7}
    assert all(list(part) == sorted(part) for part in parts)


def test_classes_are_shared_out():
    scans = cohort()
    splits = make_splits(scans, "classification", 0.2, 5, seed=0)
    of = dict(zip(scans["participant"], scans["target"], strict=True))
    counts = [Counter(of[p] for p in participants_of(part)) for part in (splits.test, *splits.folds)]
    assert counts[0] == {"a": 6, "b": 2}
    assert all(1 <= c["b"] <= 2 and 4 <= c["a"] <= 5 for c in counts[1:])


def test_only_the_seed_decides():
    scans = cohort()
    first = make_splits(scans, "classification", 0.2, 5, seed=0)
    shuffled = scans.sample(frac=1, random_state=1)
    assert make_splits(shuffled, "classification", 0.2, 5, seed=0) == first
    assert make_splits(scans, "classification", 0.2, 5, seed=1) != first


def test_at_least_one_participant_is_tested():
    assert len(make_splits(cohort(6, 1), "segmentation", 0.01, 5, seed=0).test) == 1


def test_too_few_are_named():
    with pytest.raises(UserError, match=r"5 participants are too few.*splits\.folds = 5"):
        make_splits(cohort(5), "segmentation", 0.2, 5, seed=0)
    with pytest.raises(UserError, match=r"class 'b' has 2 participants"):
        make_splits(cohort(20, 1, ("a",) * 9 + ("b",)), "classification", 0.2, 5, seed=0)
    with pytest.raises(UserError, match="has no target"):
        make_splits(cohort().assign(target=None), "classification", 0.2, 5, seed=0)


def runs(participants=2, count=12):
    numbers = [(f"sub-{p}", f"{r:02d}") for p in range(participants) for r in range(1, count + 1)]
    rows = [(f"{person}_task-x_run-{run}", person, "x", run, None) for person, run in numbers]
    return pd.DataFrame(rows, columns=["scan", "participant", "task", "run", "target"])


def test_the_unit_is_written_down():
    splits = make_splits(cohort(), "segmentation", 0.2, 5, seed=0)
    assert (splits.unit, splits.within) == ("participant", False)
    assert splits.units["p03_s0"] == "p03"
    within = make_splits(runs(), "classification", 0.2, 5, 0, "run", per_volume=True)
    assert (within.unit, within.within) == ("run", True)
    assert within.units["sub-1_task-x_run-03"] == "sub-1_task-x_run-03"


def test_leave_one_run_out():
    splits = make_splits(runs(1), "classification", 0.2, "leave_one_out", 0, "run", per_volume=True)
    assert len(splits.test) == 2
    assert [len(fold) for fold in splits.folds] == [1] * 10
    named = make_splits(runs(1), "classification", 0.2, "leave_one_out", 0, "run", ("run-11", "run-12"), True)
    assert named.test == ("sub-0_task-x_run-11", "sub-0_task-x_run-12")
    both = make_splits(runs(2), "classification", 0.2, 5, 0, "run", ("run-12", "sub-0_task-x_run-01"), True)
    assert both.test == ("sub-0_task-x_run-01", "sub-0_task-x_run-12", "sub-1_task-x_run-12")
    with pytest.raises(UserError, match=r"splits\.test_units: no run is 'run-13'"):
        make_splits(runs(1), "classification", 0.2, 5, 0, "run", ("run-13",), True)
    with pytest.raises(UserError, match=r"1 participants are too few.*splits\.unit: run"):
        make_splits(runs(1), "classification", 0.2, 5, 0, per_volume=True)


def sites(sizes=(40, 30, 20, 15, 10, 8, 6, 5)):
    rows = [(f"s{s}-{i:02d}", f"s{s}-{i:02d}", f"site{s}", "ab"[i % 2]) for s, n in enumerate(sizes) for i in range(n)]
    return pd.DataFrame(rows, columns=["scan", "participant", "site", "target"])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_sites_stay_whole_and_classes_even(task):
    scans = sites()
    splits = make_splits(scans, task, 0.25, 3, 1, "site")
    assert splits == make_splits(scans.sample(frac=1, random_state=0), task, 0.25, 3, 1, "site")
    of = dict(zip(scans["scan"], scans["site"], strict=True))
    groups = [{of[s] for s in part} for part in (splits.test, *splits.folds)]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 8
    assert len(groups[0]) == 2
    assert abs(len(splits.test) / len(scans) - 0.25) < 0.1
    sizes = [len(fold) for fold in splits.folds]
    assert max(sizes) < 2 * min(sizes)


def test_leave_one_site_out_and_named_sites():
    splits = make_splits(sites(), "classification", 0.2, "leave_one_out", 0, "site", ("site3",))
    assert {s.split("-")[0] for s in splits.test} == {"s3"}
    assert sorted({s.split("-")[0] for s in fold}.pop() for fold in splits.folds) == sorted(
        f"s{i}" for i in (0, 1, 2, 4, 5, 6, 7)
    )
    with pytest.raises(UserError, match=r"3 sites are too few: 1 for the test leave 2 for splits\.folds = 3"):
        make_splits(sites((4, 4, 4)), "classification", 0.2, 3, 0, "site")
    one_class = sites().assign(target=lambda t: t["site"].map(lambda s: "a" if s == "site0" else "b"))
    with pytest.raises(UserError, match="has one class only, b"):
        make_splits(one_class, "classification", 0.2, 3, 0, "site")


def test_named_participants_are_tested():
    splits = make_splits(cohort(), "classification", 0.2, 4, 0, test_units=("p05", "p07"))
    assert participants_of(splits.test) == {"p05", "p07"}
    assert sum(len(participants_of(f)) for f in splits.folds) == 38


def test_sites_that_one_participant_went_to_are_one():
    scans = sites()
    traveller = scans.iloc[:1].assign(scan="s0-00-again", site="site7")
    splits = make_splits(pd.concat([scans, traveller], ignore_index=True), "classification", 0.25, 3, 1, "site")
    assert set(splits.units.values()) == {f"site{i}" for i in range(7)}
