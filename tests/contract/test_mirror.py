"""``tests/unit`` mirrors ``src/voxnas``: a reader finds the tests of a module beside its path."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FILES = sorted(path.relative_to(PROJECT / "tests/unit") for path in (PROJECT / "tests/unit").rglob("test_*.py"))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_is_named_after_a_module(file: Path) -> None:
    """The file ``test_<module>.py`` or ``test_<module>_<aspect>.py`` tests a module or package of the same folder."""
    modules = [path.stem for path in (PROJECT / "src/voxnas" / file.parent).iterdir()]
    name = file.stem.removeprefix("test_")
    assert any(name == module or name.startswith(f"{module}_") for module in modules)
