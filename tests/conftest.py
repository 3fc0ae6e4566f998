"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run: a failure is one of the code, not of the day.
settings.register_profile("voxnas", derandomize=True, deadline=None)
settings.load_profile("voxnas")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real data sets, given by VOXNAS_TEST_DATA; the test is skipped without it."""
    root = os.environ.get("VOXNAS_TEST_DATA", "")
    if not root or not Path(root).is_dir():
        pytest.skip("VOXNAS_TEST_DATA names no folder")
    return Path(root)
