"""The tiny studies and jobs of the training tests."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_file = Path(__file__).parents[1] / "unit" / "training" / "conftest.py"
_spec = spec_from_file_location("training_fixtures", _file)
_fixtures = module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
new_study, new_job, study = _fixtures.new_study, _fixtures.new_job, _fixtures.study
