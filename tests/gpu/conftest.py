"""The tiny studies and jobs of the training tests; everything here needs a GPU."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

_file = Path(__file__).parents[1] / "unit" / "training" / "conftest.py"
_spec = spec_from_file_location("training_fixtures", _file)
_fixtures = module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
new_study, new_job, study = _fixtures.new_study, _fixtures.new_job, _fixtures.study


@pytest.fixture(autouse=True)
def exact_gpu(monkeypatch):
    """Skip without a GPU; with one compute as exactly as it can, for TensorFloat-32 has ten bits."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
