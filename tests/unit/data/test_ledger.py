from concurrent.futures import ThreadPoolExecutor

import pytest

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.data.ledger import ledger_file, open_test, read_ledger
from voxnas.io.records import write_json, write_text

TEST = ("a", "b")


def make_study(root, contents=("1", "2", "3"), test=TEST, names="abc"):
    paths = StudyPaths(root)
    write_text(paths.scans, "scan\tcontent\n" + "".join(f"{n}\t{c}\n" for n, c in zip(names, contents, strict=True)))
    write_json(paths.splits, Splits(test=test, folds=((names[-1],),)))
    return paths


def test_every_opening_of_the_test_split_is_in_the_ledger(tmp_path):
    paths = make_study(tmp_path / "one")
    assert open_test(paths, "evaluate", "k1") == list(TEST)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: open_test(paths, "evaluate", f"k{i}"), range(2, 12)))
    reads = read_ledger(paths)
    assert {read["key"] for read in reads} == {f"k{i}" for i in range(1, 12)}
    assert (reads[0]["study"], reads[0]["reader"], reads[0]["count"]) == ("one", "evaluate", 2)
    assert reads[0]["time"].endswith("+00:00")
    assert not set(TEST) & set(reads[0].values())


def test_a_new_name_of_the_study_or_of_its_scans_continues_the_ledger(tmp_path):
    open_test(make_study(tmp_path / "one"), "evaluate", "k1")
    renamed = make_study(tmp_path / "two", ("2", "1", "4"), ("x", "y"), "xyz")  # other names, order and folds
    open_test(renamed, "evaluate", "k2")
    assert [(read["study"], read["key"]) for read in read_ledger(renamed)] == [("one", "k1"), ("two", "k2")]
    assert read_ledger(make_study(tmp_path / "three", ("1", "5", "3"))) == []  # another content


@pytest.mark.parametrize("line", ['{"study":"one","rea', '{"study":"one"}', "[]", "3"])
def test_a_damaged_ledger_is_named(tmp_path, line):
    paths = make_study(tmp_path / "one")
    open_test(paths, "evaluate", "k1")
    write_text(ledger_file(paths), ledger_file(paths).read_text() + line + "\n")
    with pytest.raises(UserError, match=r"ledger/.*jsonl, line 2"):
        read_ledger(paths)
