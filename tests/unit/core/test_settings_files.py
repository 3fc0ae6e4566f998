"""The generated files match the settings, and all study files are valid."""

from pathlib import Path

import pytest
import yaml

from voxnas.core.settings import StudySettings, parse_settings
from voxnas.core.settings_files import generated_files
from voxnas.core.study_files import read_study_file

PROJECT = Path(__file__).parents[3]


@pytest.mark.parametrize("path", generated_files())
def test_generated_file_is_current(path: str) -> None:
    assert (PROJECT / path).read_text() == generated_files()[path], "run: voxnas settings --write"


def test_config_yaml_holds_every_default() -> None:
    raw = yaml.safe_load((PROJECT / "config/config.yaml").read_text())
    assert parse_settings(raw) == StudySettings()


@pytest.mark.parametrize("path", sorted(PROJECT.glob("config/*/*.yaml")), ids=lambda p: p.stem)
def test_study_files_are_valid(path: Path) -> None:
    if path.parent.name != "search_spaces":
        parse_settings(read_study_file(str(path)), path.name)
