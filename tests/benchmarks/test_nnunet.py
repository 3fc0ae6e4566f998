"""nnU-Net gets the scans of the folds only, and a schedule that fits its budget."""

import json

import pandas as pd
import pytest
from nnunet import link_dataset, plan_epochs

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.io.records import write_json
from voxnas.io.tables import write_table


def test_the_data_set_holds_no_test_scan(tmp_path):
    paths = StudyPaths(tmp_path / "study")
    write_json(paths.splits, Splits(test=("c",), folds=(("a",), ("b",))))
    write_json(paths.dataset, {"channels": ["T1w", "T2w"], "labels": {"0": "background", "1": "Anterior"}})
    rows = [{"scan": s, "image": f"{s}-1.nii.gz;{s}-2.nii.gz", "label": f"{s}-seg.nii.gz"} for s in "abc"]
    write_table(paths.scans, pd.DataFrame(rows))
    link_dataset(paths, tmp_path / "raw")
    links = {str(p.relative_to(tmp_path / "raw")): p.readlink().name for p in (tmp_path / "raw").glob("*Tr/*")}
    assert links == {
        "imagesTr/a_0000.nii.gz": "a-1.nii.gz",
        "imagesTr/a_0001.nii.gz": "a-2.nii.gz",
        "imagesTr/b_0000.nii.gz": "b-1.nii.gz",
        "imagesTr/b_0001.nii.gz": "b-2.nii.gz",
        "labelsTr/a.nii.gz": "a-seg.nii.gz",
        "labelsTr/b.nii.gz": "b-seg.nii.gz",
    }
    assert json.loads((tmp_path / "raw" / "dataset.json").read_text()) == {
        "channel_names": {"0": "T1w", "1": "T2w"},
        "labels": {"background": 0, "Anterior": 1},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }


@pytest.mark.parametrize("budget", [180, 240, 3600, 9600, 14400])
def test_the_schedule_ends_with_the_budget(budget):
    costs = {"start": 5.0, "iteration": 13.0, "epoch": 5.0}
    epochs, iterations = plan_epochs(budget, **costs)
    spent = costs["start"] + epochs * (costs["epoch"] + iterations * costs["iteration"])
    assert 0 <= budget - spent < costs["epoch"] + iterations * costs["iteration"]
    assert epochs <= 55


def test_a_budget_without_an_iteration():
    with pytest.raises(UserError, match="core-minutes end before the first iteration"):
        plan_epochs(20, 5.0, 13.0, 5.0)
