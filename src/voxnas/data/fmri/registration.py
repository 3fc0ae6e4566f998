"""Registration between a run, the T1-weighted image of its participant, and the template.

SimpleITK maximises mutual information (Mattes et al. 2003) from coarse to fine:

- run to T1w: rigid, initialised by the scanner's coordinates or by the centres of both images, whichever fits better;
- template to T1w (to the run's mean if there is no T1w): affine, then free-form deformation by cubic
  B-splines (Rueckert et al. 1999).

The template is ICBM 2009a symmetric (Fonov et al. 2011), as distributed with nilearn. A transform maps points of the
fixed image to points of the moving image.
"""

from functools import lru_cache
from typing import NamedTuple

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from voxnas.data.fmri.volumes import TO_LPS, Volume, to_itk
from voxnas.data.fmri.warp import grid_points, sample

TEMPLATE_SPACE = "MNI152NLin2009aSym"
TEMPLATE_MM, FIT_MM = 2, 4.0  # voxel sizes of the tissue maps, and of the registered image
BOX_MARGIN_MM = 6.0
BINS = 32
MESH = (5, 6, 5)  # elements of the B-spline along R, A, S
DILATED_MM = 10.0
SHARE = 0.25  # of the voxels in the metric
SEED = 1  # of the choice of these voxels; 0 would be the time


class Template(NamedTuple):
    """The template on one grid: intensities, brain mask, and tissue fractions, each (X, Y, Z)."""

    t1: NDArray[np.float32]
    brain: NDArray[np.bool_]
    grey: NDArray[np.float32]
    white: NDArray[np.float32]
    affine: NDArray[np.float64]

    def volume(self, array: NDArray) -> Volume:
        """Return an array on the template's grid as a volume."""
        return Volume(array, self.affine)


@lru_cache(maxsize=1)
def load_template() -> Template:
    """Load the template at 2 mm, in canonical orientation."""
    from nilearn import datasets

    loaders = datasets.load_mni152_template, datasets.load_mni152_gm_template, datasets.load_mni152_wm_template
    images = [load(resolution=TEMPLATE_MM) for load in loaders]
    t1, grey, white = (np.asarray(image.dataobj, dtype=np.float32) for image in images)
    brain = datasets.load_mni152_brain_mask(resolution=TEMPLATE_MM)
    return Template(t1, np.asarray(brain.dataobj) > 0, grey, white, np.asarray(images[0].affine, dtype=float))


def template_grid(spacing_mm: float) -> Volume:
    """Return an empty grid of cubic voxels around the template's brain, common to all runs of a study."""
    template = load_template()
    points = nib.affines.apply_affine(template.affine, np.argwhere(template.brain))
    low, high = points.min(axis=0) - BOX_MARGIN_MM, points.max(axis=0) + BOX_MARGIN_MM
    shape = np.ceil((high - low) / spacing_mm).astype(int) + 1
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = (low + high) / 2 - spacing_mm * (shape - 1) / 2
    return Volume(np.zeros(shape, dtype=np.uint8), affine)


def register_rigid(run: Volume, brain: NDArray[np.bool_], t1: Volume) -> sitk.Transform:
    """Estimate the rigid transform from points of a run to points of the T1-weighted image.

    Parameters
    ----------
    run : Volume
        Mean of the run.
    brain : ndarray of bool, (X, Y, Z)
        Brain mask of the run; the metric is computed around it.
    t1 : Volume
        T1-weighted image of the same participant.
    """
    fixed, moving = to_itk(run), _coarse(to_itk(t1), FIT_MM / 2)
    around = to_itk(run.with_array(_dilated(run, brain)))
    centre = _centre(run, brain)
    scanner = sitk.Euler3DTransform()
    scanner.SetCenter(centre)
    centred = sitk.Euler3DTransform(scanner)
    bright = t1.array > 0.5 * t1.array[t1.array > 0].mean() if (t1.array > 0).any() else np.ones(t1.array.shape, bool)
    centred.SetTranslation((np.array(_centre(t1, bright)) - centre).tolist())

    def search(start: sitk.Transform) -> tuple[float, sitk.Transform]:
        method = _method(around)
        method.SetOptimizerScales([2500.0] * 3 + [1.0] * 3)
        method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.02, 100, 0.5, 1e-9)
        method.SetShrinkFactorsPerLevel([1])
        method.SetSmoothingSigmasPerLevel([0])
        method.SetInitialTransform(sitk.Euler3DTransform(start), inPlace=True)
        found = method.Execute(fixed, moving)
        return method.GetMetricValue(), found

    return min((search(start) for start in (scanner, centred)), key=lambda pair: pair[0])[1]


def register_template(image: Volume, brain: NDArray[np.bool_], deform: bool = True) -> sitk.Transform:
    """Estimate the transform from points of the template to points of a T1-weighted image (or the mean of a run).

    Parameters
    ----------
    image : Volume
        After bias correction.
    brain : ndarray of bool, (X, Y, Z)
        Its brain mask; other voxels are ignored.
    deform : bool
        Whether to add a deformation to the affine transform; the mean of a run has too little detail for it.
    """
    template = load_template()
    coarse = template_grid(FIT_MM)
    sharp = template.volume(ndimage.gaussian_filter(template.t1 * template.brain, FIT_MM / TEMPLATE_MM / 2.35))
    fixed = to_itk(coarse.with_array(sample(sharp, grid_points(coarse), 1).reshape(coarse.array.shape)))
    inside = sample(template.volume(template.brain.astype(np.float32)), grid_points(coarse), 1) > 0.5
    around = to_itk(coarse.with_array(_dilated(coarse, inside.reshape(coarse.array.shape))))
    moving = _coarse(to_itk(image.with_array(image.array * brain)), FIT_MM)

    affine = sitk.AffineTransform(3)
    centre = np.array(_centre(template.volume(template.t1), template.brain))
    affine.SetCenter(centre.tolist())
    affine.SetTranslation((np.array(_centre(image, brain)) - centre).tolist())
    method = _method(around)
    method.SetOptimizerScales([2500.0] * 9 + [1.0] * 3)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.05, 100, 0.5, 1e-9)
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1, 0])
    method.SetInitialTransform(affine, inPlace=True)
    method.Execute(fixed, moving)

    if not deform:
        return affine
    warp = sitk.BSplineTransformInitializer(fixed, MESH, 3)
    method = _method(around, SHARE)
    method.SetOptimizerAsLBFGSB(1e-4, 15, 5, 40, 1e9)
    method.SetMovingInitialTransform(affine)
    method.SetInitialTransform(warp, inPlace=True)
    method.Execute(fixed, moving)
    return sitk.CompositeTransform([affine, warp])


def _method(around: sitk.Image, share: float = 1.0) -> sitk.ImageRegistrationMethod:
    """Create a registration by mutual information over a share of the voxels of a mask, evenly spaced."""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(around)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(share, SEED)  # without a seed ITK takes the time
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _coarse(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Smooth and subsample an image to voxels of about the given size."""
    factors = [max(1, int(spacing_mm / s + 0.01)) for s in image.GetSpacing()]
    if max(factors) == 1:
        return image
    sigmas = [0.4 * f * s for f, s in zip(factors, image.GetSpacing(), strict=True)]
    return sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, sigmas), factors)


def _dilated(grid: Volume, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dilate the mask, because the brain's boundary determines the registration."""
    return ndimage.distance_transform_edt(~mask, sampling=nib.affines.voxel_sizes(grid.affine)) < DILATED_MM


def _centre(volume: Volume, mask: NDArray[np.bool_]) -> list[float]:
    """Return the centre of a mask in SimpleITK's coordinates, in mm."""
    centre = nib.affines.apply_affine(volume.affine, np.argwhere(mask).mean(axis=0))
    return (TO_LPS[:3, :3] @ centre).tolist()
