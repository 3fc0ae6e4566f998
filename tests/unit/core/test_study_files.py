"""Lookup of studies by name and file."""

import os
from pathlib import Path

import pytest
import yaml

from voxnas.cli.main import main
from voxnas.core.errors import UserError
from voxnas.core.settings import parse_settings
from voxnas.core.study_files import check_data_root, find_study

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path):
    studies = tmp_path / "config" / "studies"
    studies.mkdir(parents=True)
    (studies / "brains.yaml").write_text(yaml.safe_dump({"study": "brains-2", "seed": 3}))
    return tmp_path


def test_find_study(folder):
    file = folder / "config" / "studies" / "brains.yaml"
    assert find_study(folder, "brains") == (file, "brains-2")
    assert find_study(folder, str(file)) == (file, "brains-2")
    assert find_study(folder, "phantom") == (PROJECT / "config" / "studies" / "phantom.yaml", "phantom")
    with pytest.raises(UserError, match=r"no study 'brain' .* known: .*, brains, .*, phantom, "):
        find_study(folder, "brain")


NO_DATA = [
    {"study": "mine"},
    {"task": "classification", "data": {"target": "sex"}},
    {"study": "mine", "data_root": "missing"},
]


@pytest.mark.parametrize("stated", NO_DATA)
def test_a_study_without_data_is_refused(stated):
    with pytest.raises(UserError, match="data_root") as caught:
        check_data_root(parse_settings(stated), stated, "s.yaml")
    assert "--config data_root=PATH" in str(caught.value)


@pytest.mark.parametrize("stated", [{}, {"study": "mine", "data": {"phantom": {}}}, {"study": "m", "data_root": "/"}])
def test_generated_scans_are_used_on_request(stated):
    check_data_root(parse_settings(stated), stated, "s.yaml")


HOSTILE = {
    "not UTF-8": (b"study: t\xe9", "is not YAML: 'utf-8'"),
    "5,000 brackets": (b"study: " + b"[" * 5000, "is nested too deeply"),
    "too large": (b"a: 1\n" * 300_000, "is larger than 1,000,000 bytes"),
    "an impossible date": (b"study: 2020-99-99", "is not YAML: month"),
    "5,000 digits": (b"seed: " + b"9" * 5000, "is not YAML: Exceeds the limit"),
    "a list": (b"[1]", "valid dictionary"),
    "an unknown baseline": (
        b"baselines: {names: [unett]}",
        "baselines.names: unknown baseline 'unett'. did you mean 'unet'",
    ),
    "an unknown space": (b"search: {space: unett}", "search.space = 'unett'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_study_file_is_one_line_that_names_it(name, tmp_path, capsys):
    content, words = HOSTILE[name]
    file = tmp_path / "study.yaml"
    file.write_bytes(content)
    assert main(["settings", str(file)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(file) in said and words in said


def test_a_study_file_that_is_no_file_is_not_read(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path, tmp_path / "pipe.yaml", "/dev/zero"):
        assert main(["settings", str(path)]) == 2
        assert f"{path} is not a file" in capsys.readouterr().err
