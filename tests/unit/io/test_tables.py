import re

import pandas as pd
import pytest

from voxnas.core.errors import UserError
from voxnas.io.tables import read_table, write_table


def test_texts_keep_leading_zeros_and_missing_values_stay_missing(tmp_path):
    path = tmp_path / "t.tsv"
    write_table(path, pd.DataFrame({"scan": ["01", "02"], "n": [1, 2], "site": [None, "NA"]}))
    assert path.read_text() == "scan\tn\tsite\n01\t1\tn/a\n02\t2\tNA\n"
    table = read_table(path, {"scan": str, "n": int})
    assert table["scan"].tolist() == ["01", "02"]
    assert table["n"].sum() == 3
    assert pd.isna(table["site"][0])
    assert table["site"][1] == "NA"


def test_floats_come_back_exactly(tmp_path):
    values = [0.1, 1 / 3, 1e-17]
    write_table(tmp_path / "t.tsv", pd.DataFrame({"x": values}))
    assert read_table(tmp_path / "t.tsv", {"x": float})["x"].tolist() == values


def test_what_does_not_fit_is_named(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\nx\t1\n")
    with pytest.raises(UserError, match=r"no column 'c'.*a, b"):
        read_table(path, {"c": str})
    with pytest.raises(UserError, match="column 'a'"):
        read_table(path, {"a": int})
    with pytest.raises(UserError, match="does not exist"):
        read_table(tmp_path / "u.tsv", {})
    with pytest.raises(UserError, match="is not a file"):
        read_table(tmp_path, {})
    path.write_text("a\tb\nx\t1\ny")
    with pytest.raises(UserError, match="line 3 has 1 cells, the header has 2"):
        read_table(path, {})
    path.write_text("")
    with pytest.raises(UserError, match="not a tab-separated table"):
        read_table(path, {})


@pytest.mark.parametrize("text", ['"', 'a"b', '"a"', '""', "a\tb", "a\nb", "a\r\nb", " "])
def test_a_text_comes_back_without_its_tabs_and_line_breaks(tmp_path, text):
    write_table(tmp_path / "t.tsv", pd.DataFrame({"x": [text, "next"], "y": ["1", "2"]}))
    table = read_table(tmp_path / "t.tsv", {})
    assert table["x"].tolist() == [re.sub(r"[\t\r\n]+", " ", text), "next"] and table["y"].tolist() == ["1", "2"]


def test_quotes_join_no_rows(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text('\ufeffa\tb\t\r\n"x\t1\t\r\n\r\n"y"\t2"\t\r\n')
    table = read_table(path, {"a": str})
    assert table.to_dict("list") == {"a": ['"x', "y"], "b": ["1", '2"']}
