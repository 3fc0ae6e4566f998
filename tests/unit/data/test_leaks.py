"""Simulated leaks of each kind must be detected and named."""

import pandas as pd
import pytest

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.data.index import index_dataset
from voxnas.data.leaks import check_splits, check_study
from voxnas.data.splits import make_splits
from voxnas.data.units import join_twins, twins_of, unit_names
from voxnas.io.records import write_json
from voxnas.io.tables import write_table


def runs(participants=6, sessions=2, per_session=2):
    rows = []
    for p in range(participants):
        for s in range(sessions):
            for r in range(per_session):
                scan = f"sub-{p}_ses-{s}_task-rest_run-{r}"
                rows.append((scan, f"sub-{p}", str(s), "XYZ"[p % 3], "rest", str(r), "ab"[p % 2], scan, f"T1w of {p}"))
    columns = ["scan", "participant", "session", "site", "task", "run", "target", "content", "anatomical_sha256"]
    return pd.DataFrame(rows, columns=columns).assign(preprocessed="no")


def split(scans, unit, folds=2):
    return make_splits(scans, "regression", 0.2, folds, 0, unit)


def swap(splits, scan, to):
    """Move one scan to the test set (None) or a fold."""
    parts = [[s for s in part if s != scan] for part in (splits.test, *splits.folds)]
    parts[0 if to is None else 1 + to].append(scan)
    return Splits(**{**dict(splits), "test": sorted(parts[0]), "folds": [sorted(p) for p in parts[1:]]})


def test_what_the_splitter_makes_leaks_nothing():
    for unit in ("participant", "session", "run"):
        scans = runs()
        check_splits(scans, split(scans, unit))
    scans = runs(12)
    check_splits(scans, make_splits(scans, "regression", 0.2, 2, 0, "site"))


@pytest.mark.parametrize(
    ("unit", "kind"),
    [("participant", "participant"), ("session", "session"), ("run", "run"), ("site", "participant")],
)
def test_a_unit_in_two_splits(unit, kind):
    scans = runs()
    # A second acquisition of each run, which is another image of the same unit.
    more = scans.assign(scan=scans["scan"].str.replace("_run", "_acq-x_run"), content=scans["content"] + "x")
    scans = pd.concat([scans, more], ignore_index=True)
    splits = split(scans, unit)
    moved = splits.folds[0][0]
    with pytest.raises(UserError, match=rf"leak \({kind}\): .* in the test split|leak \({kind}\): .* in fold 0"):
        check_splits(scans, swap(splits, moved, None))


def test_a_site_in_two_splits_though_no_participant_is():
    scans = runs(12)
    splits = split(scans, "site")
    person = scans.loc[scans["scan"] == splits.folds[0][0], "participant"].iloc[0]
    for scan in scans.loc[scans["participant"] == person, "scan"]:
        splits = swap(splits, scan, None)
    with pytest.raises(UserError, match=r"leak \(site\): [XYZ]: sub-\d"):
        check_splits(scans, splits)


def test_a_scan_in_two_splits():
    scans = runs()
    splits = split(scans, "participant")
    splits = splits.model_copy(update={"test": [*splits.test, splits.folds[1][0]]})
    with pytest.raises(UserError, match=r"leak \(scan\): 'sub-.* in the test split, .* in fold 1"):
        check_splits(scans, splits)


def test_a_derivative_of_the_same_scan():
    scans = runs(1, 1, 8)
    more = scans.iloc[:1].assign(scan=scans["scan"][0] + "_space-MNI_desc-preproc", content="other")
    both = pd.concat([scans, more], ignore_index=True)
    splits = split(both, "run")
    for to in (0, 1, None):
        placed = swap(splits, more["scan"].iloc[0], to)
        home = next((i for i, fold in enumerate(splits.folds) if scans["scan"][0] in fold), None)
        if to == home:
            check_splits(both, placed)
            continue
        with pytest.raises(UserError, match=r"leak \(derivative\): of the same scan, sub-0_ses-0_task-rest_run-0"):
            check_splits(both, placed)


def test_the_same_image_twice_in_a_within_participant_study():
    scans = runs(1, 1, 10)
    splits = split(scans, "run")
    a, b = splits.test[0], splits.folds[1][0]
    scans.loc[scans["scan"] == b, "content"] = a
    with pytest.raises(UserError, match=r"leak \(same image\): of sub-0"):
        check_splits(scans, splits)


@pytest.mark.parametrize("column", ["content", "anatomical_sha256"])
def test_one_person_under_two_ids(column):
    scans = runs()
    splits = split(scans, "participant")
    a, b = splits.test[0], splits.folds[0][0]
    scans.loc[scans["scan"].isin([a, b]), column] = "one image"
    with pytest.raises(UserError, match=r"leak \(person under two ids\): sub-\d and sub-\d, who share an image"):
        check_splits(scans, splits)
    # The splitter keeps both ids together, and then nothing leaks.
    check_splits(scans, split(scans, "participant"))
    assert len(set(split(scans, "participant").units.values())) == 5


def test_constant_and_missing_contents_say_nothing():
    scans = runs().assign(content=None, anatomical_sha256=None)
    check_splits(scans, split(scans, "participant"))
    assert twins_of(scans) == []


def test_an_older_index_and_older_splits_are_understood():
    scans = runs()[["scan", "participant", "target"]]
    splits = split(scans, "participant")
    old = Splits(test=splits.test, folds=splits.folds)
    check_splits(scans, old)
    with pytest.raises(UserError, match=r"leak \(participant\)"):
        check_splits(scans, swap(old, old.test[0], 0))
    with pytest.raises(UserError, match="'sub-99', which is not in the index"):
        check_splits(scans, old.model_copy(update={"test": ["sub-99"]}))


def test_a_study_is_checked_from_its_files(tmp_path):
    paths, scans = StudyPaths(tmp_path), runs()
    splits = split(scans, "participant")
    write_table(paths.scans, scans)
    write_json(paths.splits, splits)
    check_study(paths)
    write_json(paths.splits, swap(splits, splits.test[0], 1))
    with pytest.raises(UserError, match=r"leak \(participant\)"):
        check_study(paths)


def test_names_of_units():
    scans = runs(1)
    assert set(unit_names(scans, "session").values()) == {"sub-0_ses-0", "sub-0_ses-1"}
    assert unit_names(scans, "run")["sub-0_ses-1_task-rest_run-1"] == "sub-0_ses-1_task-rest_run-1"
    bare = scans.assign(session=None, task=None, site=None)
    assert set(unit_names(bare, "run").values()) == {"sub-0_run-0", "sub-0_run-1"}
    with pytest.raises(UserError, match=r"splits\.unit = site, but 4 of 4 scans have no site"):
        unit_names(bare, "site")
    with pytest.raises(UserError, match=r"have no session.*set splits\.unit: run"):
        unit_names(bare.drop(columns="session"), "session")


def test_twins_of_twins_are_one():
    scans = runs(4, 1, 1)
    scans["content"] = ["x", "x", "y", "z"]
    scans["anatomical_sha256"] = ["p", "q", "q", "r"]
    units = join_twins(unit_names(scans, "participant"), scans, "participant")
    assert set(units.values()) == {"sub-0", "sub-3"}
    # In a within-participant study runs share their person's anatomy, and stay units of their own.
    assert len(set(split(runs(1), "run").units.values())) == 4


def test_abide_has_a_person_under_two_ids(data_root):
    from voxnas.core.settings import DataSettings

    settings = DataSettings(folder="abide_rois", layout="timeseries", target="dx")
    scans = index_dataset(data_root, "classification", settings).scans
    assert twins_of(scans) == [["sub-0050279", "sub-0050286"]]
    for seed in range(5):
        splits = make_splits(scans, "classification", 0.2, 5, seed)
        assert splits.units["sub-0050286"] == "sub-0050279"
        check_splits(scans, splits)
    apart = swap(swap(splits, "sub-0050279", 0), "sub-0050286", 1)
    with pytest.raises(UserError, match=r"leak \(person under two ids\): sub-0050279 and sub-0050286"):
        check_splits(scans, apart)
    sites = make_splits(scans, "classification", 0.2, 5, 0, "site")
    check_splits(scans, sites)
    of = dict(zip(scans["scan"], scans["target"], strict=True))
    for part in (sites.test, *sites.folds):
        share = sum(of[s] == "ASD" for s in part) / len(part)
        assert 0.3 < share < 0.7
    assert 0.1 < len(sites.test) / 639 < 0.3
