from itertools import permutations, product

import pytest
from plans import input_view, run_plan

from voxnas.core.settings import ClipWindow
from voxnas.core.splits import Splits
from voxnas.data.samples import block_samples, by_case, run_samples, volume_samples, windows

CLIP = ClipWindow(frames=4, step=2, per_run=3)


def plan(unit):
    return run_plan({"clips": input_view((8, 8, 8), frames=4)}, unit=unit, clip=CLIP)


def test_windows_are_spread_over_the_run():
    assert CLIP.span == 7
    assert windows(27, CLIP) == [0, 10, 20]
    assert windows(8, CLIP) == [0, 1]  # no window twice
    assert windows(5, CLIP) == [0]


def test_each_labelled_volume_is_a_case_and_ends_its_window():
    record = {"frames": 9, "target": None, "labels": [None, "face", None, "house", *[None] * 5]}
    found = run_samples("run-1", record, plan("volume"), "clips", "sub-01", "run-1")
    assert [(s.start, s.target, s.case) for s in found] == [
        (1 - 6, "face", "run-1_volume-0001"),
        (3 - 6, "house", "run-1_volume-0003"),
    ]


@pytest.mark.parametrize(("unit", "case"), [("run", "run-1"), ("participant", "sub-01")])
@pytest.mark.parametrize(("view", "starts"), [("clips", [0, 10, 20]), ("series", [0, 10, 20]), ("maps", [None])])
def test_windows_of_a_run_add_up_to_one_case(unit, case, view, starts):
    record = {"frames": 27, "target": "old"}
    found = run_samples("run-1", record, plan(unit), view, "sub-01", "site-a")
    assert [s.start for s in found] == starts
    assert {(s.target, s.case, s.unit) for s in found} == {("old", case, "site-a")}
    assert by_case(found) == {case: list(range(len(starts)))}


def test_scans_of_a_participant_with_one_target_are_one_case():
    targets = {"a_1": "x", "a_2": "x", "b_1": "x", "b_2": "y", "c_1": "y"}
    people = {scan: scan[0] for scan in targets}
    cases = by_case(volume_samples(targets, people, people))
    assert cases == {"a": [0, 1], "b_1": [2], "b_2": [3], "c_1": [4]}


@pytest.mark.parametrize("gap", [0.0, 4.0, 10.0])
def test_windows_of_two_splits_share_no_volume_and_keep_the_gap(gap):
    labels = [kind for kind in "abcabcab" for _ in range(12)]  # eight blocks of 12 volumes without rest
    record = {
        "frames": 96,
        "labels": labels,
        "blocks": [n for n in range(8) for _ in range(12)],
        "repetition_time": 2.0,
    }
    members = [f"run_block-{n:03d}" for n in range(8)]
    splits = Splits(
        unit="block",
        within=True,
        gap=gap,
        test=members[:2],
        folds=[members[2:4], members[4:6] + members[7:], members[6:7]],
    )
    parts, used = splits.parts(), {}
    for member in members:
        for sample in block_samples(member, splits, record, plan("volume")):
            assert sample.unit == sample.scan == member and sample.case.startswith("run_volume-")
            assert sample.target == labels[sample.start + 6]
            used.setdefault(parts[member], []).append((sample.start, sample.start + 6))
    assert set(used) == {-1, 0, 1, 2}
    for first, second in permutations(used, 2):
        for (start, stop), (other, end) in product(used[first], used[second]):
            assert start > end + gap / 2 or other > stop + gap / 2
    assert len(used[-1]) == 24  # nothing precedes the test split, and its two blocks are neighbours
