"""The tiny studies and jobs of the training tests; everything here needs a GPU."""

import pytest
import torch
from tiny_training import new_job, new_study, study  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def exact_gpu(monkeypatch):
    """Skip without a GPU; with one compute as exactly as it can, for TensorFloat-32 has ten bits."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
