"""Lookup of studies by name and file."""

import pytest
import yaml

from voxnas.core.errors import UserError
from voxnas.core.study_files import find_study


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
    assert find_study(folder, "phantom") == (None, "phantom")
    with pytest.raises(UserError, match=r"no study 'brain' .* known: brains, phantom"):
        find_study(folder, "brain")
