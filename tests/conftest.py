"""Settings and fixtures of all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Hypothesis draws the same examples in every run, so that only changes of the code cause failures.
settings.register_profile("voxnas", derandomize=True, deadline=None)
settings.load_profile("voxnas")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of the real data sets, VOXNAS_TEST_DATA; skip the test without it."""
    root = os.environ.get("VOXNAS_TEST_DATA", "")
    if not root or not Path(root).is_dir():
        pytest.skip("VOXNAS_TEST_DATA is not a folder")
    return Path(root)
