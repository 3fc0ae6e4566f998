import pytest

from voxnas.core.errors import UserError
from voxnas.io.replace import replacing, replacing_folder


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "a"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
    with pytest.raises(OSError), replacing(path) as temporary:
        temporary.write_text("part")
        raise OSError
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_a_folder_is_replaced_completely_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "model"
    for text in ("old", "new"):
        with replacing_folder(path, "model.json") as folder:
            (folder / "model.json").write_text(text)
    with pytest.raises(OSError), replacing_folder(path, "model.json") as folder:
        (folder / "model.json").write_text("part")
        raise OSError
    assert (path / "model.json").read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_a_folder_with_other_files_is_kept(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match="contains other files"), replacing_folder(tmp_path, "model.json"):
        pass
    assert (tmp_path / "thesis.txt").exists()
