import pytest

from voxnas.io.replace import replacing


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "a"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
    with pytest.raises(OSError), replacing(path) as temporary:
        temporary.write_text("part")
        raise OSError
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]
