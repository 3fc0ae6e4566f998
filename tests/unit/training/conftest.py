"""The tiny studies and jobs of the training tests, on the CPU."""

import pytest
import torch
from tiny_training import new_job, new_study, study  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    """These tests ask for equality to the last bit, which a GPU does not give."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
