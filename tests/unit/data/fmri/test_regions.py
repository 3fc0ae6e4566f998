import warnings

import nibabel as nib
import numpy as np
import pytest
from nilearn.maskers import NiftiLabelsMasker

from voxnas.core.errors import UserError
from voxnas.data.fmri.regions import Regions, load_atlas, painting
from voxnas.data.fmri.source import Series, brain_mask

from .conftest import AFFINE, SHAPE, make_bold


@pytest.fixture
def atlas(tmp_path):
    labels = np.zeros(SHAPE, np.int16)
    labels[2:4, 3:6, 2:4], labels[4:6, 3:6, 2:4], labels[0, 0, 0] = 5, 2, 9
    nib.Nifti1Image(labels, AFFINE).to_filename(tmp_path / "atlas.nii.gz")
    return tmp_path / "atlas.nii.gz"


def test_means_are_those_of_nilearns_masker(make_source, atlas):
    source = make_source()
    series = Series(source.bold)
    regions = Regions(atlas, series, brain_mask(series, source.mask))
    assert regions.values == (2, 5, 9) and regions.empty == (9,)  # 9 lies outside the brain
    found = np.stack([regions.means(volume) for volume in series.volumes()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        masker = NiftiLabelsMasker(str(atlas), mask_img=str(source.mask), standardize=None)
        theirs = masker.fit_transform(str(source.bold))
    np.testing.assert_allclose(found[:, :2], theirs[:, :2], rtol=1e-6)
    assert (found[:, 2] == 0).all()


def test_an_atlas_on_another_grid_is_brought_to_the_run(make_source, atlas, tmp_path):
    fine = np.repeat(np.repeat(np.repeat(np.asarray(nib.load(atlas).dataobj), 2, 0), 2, 1), 2, 2)
    affine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] -= AFFINE[:3, :3] @ np.full(3, 0.25)
    nib.Nifti1Image(fine, affine).to_filename(tmp_path / "fine.nii.gz")
    source = make_source()
    series = Series(source.bold)
    volume = next(series.volumes())
    a, b = (Regions(path, series, np.ones(SHAPE, bool)) for path in (atlas, tmp_path / "fine.nii.gz"))
    np.testing.assert_allclose(a.means(volume), b.means(volume), rtol=1e-6)


def test_painting_puts_each_column_in_its_region(atlas):
    labels = painting(atlas, (2, 5), (3.0, 3.0, 4.0))
    assert labels.shape == (2, 3, 4)  # the box of the regions, as (Z, Y, X)
    # The file runs from right to left, the plan's grid from left to right.
    assert (labels[:, :, :2] == 1).all() and (labels[:, :, 2:] == 2).all()
    assert painting(atlas, (5, 2), (3.0, 3.0, 4.0))[0, 0].tolist() == [2, 2, 1, 1]
    assert painting(atlas, (2, 5), (6.0, 9.0, 8.0)).tolist() == [[[1, 2]]]


def test_an_atlas_without_regions(tmp_path, atlas):
    nib.Nifti1Image(np.zeros(SHAPE, np.int16), AFFINE).to_filename(tmp_path / "none.nii.gz")
    with pytest.raises(UserError, match=r"none\.nii\.gz has 0 region"):
        load_atlas(tmp_path / "none.nii.gz")
    with pytest.raises(UserError, match="none of the regions"):
        painting(atlas, (77,), (3.0, 3.0, 4.0))


def test_volumes_are_canonical_and_whole(make_source):
    bold, _ = make_bold()
    bold[3, 4, 2, 5] = np.nan
    series = Series(make_source(bold=bold).bold)
    volumes = np.stack(list(series.volumes()), axis=-1)
    np.testing.assert_array_equal(volumes, np.nan_to_num(bold)[::-1])
    assert series.affine[0, 0] == 3 and series.shape == SHAPE
    assert len(list(series.volumes(4))) == 4
