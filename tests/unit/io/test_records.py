import pytest

from voxnas.core.errors import UserError
from voxnas.core.settings import LimitSettings
from voxnas.io.records import read_json, read_record, write_json


def test_a_record_comes_back_and_equal_data_give_equal_bytes(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": ["ü", None]})
    write_json(tmp_path / "b.json", {"a": ["ü", None], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "a.json") == {"a": ["ü", None], "b": 1}
    write_json(tmp_path / "limits.json", LimitSettings(macs=5))
    assert read_record(tmp_path / "limits.json", LimitSettings) == LimitSettings(macs=5)


def test_nan_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"x": float("nan")})
    assert read_json(path) == {"x": 1}


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}"])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is not JSON"):
        read_json(path)


def test_a_missing_file_and_a_misfit_are_named(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_json(tmp_path / "a.json")
    write_json(tmp_path / "a.json", {"macs": -1})
    with pytest.raises(UserError, match=r"a\.json: macs: .*greater than 0"):
        read_record(tmp_path / "a.json", LimitSettings)
