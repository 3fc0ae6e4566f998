"""The Python functions: one study from scans to a prediction, and refusals."""

import doctest

import pytest
from model_folders import untrained_model

import voxnas
from voxnas import api
from voxnas.core.errors import UserError

TINY = {"data": {"phantom": {"participants": 8, "spacing": 8}}}


def test_every_name_is_an_attribute_of_the_package():
    assert set(voxnas.__all__) <= set(dir(voxnas))
    assert all(getattr(voxnas, name) is getattr(api, name) for name in voxnas.__all__)
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        voxnas.serach  # noqa: B018


def test_the_example_runs(tmp_path):
    (example,) = [found for found in doctest.DocTestFinder().find(api) if found.examples]
    example.globs["folder"] = tmp_path / "study"
    assert len(example.examples) <= 15
    assert doctest.DocTestRunner().run(example).failed == 0
    # The folder is opened again without a computation, and is not mixed with other settings.
    before = (tmp_path / "study" / "excluded.tsv").stat().st_mtime_ns
    study = voxnas.prepare(tmp_path / "study", TINY)
    assert (tmp_path / "study" / "excluded.tsv").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="other settings"):
        voxnas.prepare(tmp_path / "study", {**TINY, "seed": 1})
    with pytest.raises(UserError, match="other settings"):
        voxnas.run_search(study, "random", steps=1, samples=9)
    with pytest.raises(UserError, match="rondom"):
        voxnas.run_search(study, "rondom", steps=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"study": "mine"}, "names no data"),
        ({**TINY, "sed": 1}, "seed"),
        ({**TINY, "search": {"budget": {"amount": 9, "unit": "cpu_seconds"}}}, "calibration"),
    ],
)
def test_prepare_refuses(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        voxnas.prepare(tmp_path / "study", settings)
    assert not (tmp_path / "study").exists()


def test_load_space_names_the_known_spaces():
    with pytest.raises(UserError, match="unet-small"):
        voxnas.load_space("unet-smal")


def test_load_model_predicts_a_class(tmp_path):
    import nibabel
    import numpy as np

    values = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(tmp_path / "scan.nii.gz")
    (tmp_path / "model").mkdir()
    model = voxnas.load_model(untrained_model(tmp_path / "model", "classification"))
    assert model.predict(str(tmp_path / "scan.nii.gz"), ensemble=True)["predicted"] in ("no", "yes")
    with pytest.raises(UserError, match="not a model folder"):
        voxnas.load_model(tmp_path)
