import pytest
from plans import input_view, run_plan

from voxnas.core.settings import ClipWindow
from voxnas.data.samples import by_case, run_samples, volume_samples, windows

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
