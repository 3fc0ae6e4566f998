import pandas as pd
import pytest

from voxnas.core.errors import UserError
from voxnas.data.blocks import block_table
from voxnas.data.leaks import check_splits
from voxnas.data.splits import make_splits


@pytest.fixture
def scans(tmp_path):
    """One run of twelve blocks of three kinds, of two events each, with rests between the blocks."""
    kinds = ["faces", "houses", "tools"] * 4
    rows = [f"{20 * i + 5 * e}\t4\t{kind}" for i, kind in enumerate(kinds) for e in (0, 1)]
    (tmp_path / "events.tsv").write_text("onset\tduration\ttrial_type\n" + "\n".join(rows) + "\n")
    row = {
        "scan": "sub-01_run-1",
        "participant": "sub-01",
        "target": None,
        "content": "x",
        "events": str(tmp_path / "events.tsv"),
    }
    return pd.DataFrame([row])


def test_blocks_of_one_run_are_divided_by_class(scans):
    table = block_table(scans, "")
    assert list(table["scan"][:2]) == ["sub-01_run-1_block-000", "sub-01_run-1_block-001"] and len(table) == 12
    assert table["target"].value_counts().to_dict() == {"faces": 4, "houses": 4, "tools": 4}
    splits = make_splits(table, "classification", 0.25, 3, 0, "block")
    check_splits(table, splits)
    assert splits.within and {splits.scan_of(m) for m in splits.development} == {"sub-01_run-1"}
    of = dict(zip(table["scan"], table["target"], strict=True))
    for part in (splits.test, *splits.folds):
        assert sorted(of[m] for m in part) == ["faces", "houses", "tools"]
    with pytest.raises(UserError, match=r"'sub-01_run-1' has no events"):
        block_table(scans.assign(events=None), "")
