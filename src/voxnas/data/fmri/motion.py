"""Estimation of rigid head motion: the pose at each volume.

Each volume is registered to a reference, the mean of the first steady volumes after their alignment to one of them. The
similarity measure is the correlation over the brain's bounding box (Jenkinson et al. 2002 use the related correlation
ratio). SimpleITK starts at the pose of the preceding volume, since a head moves little in a repetition time.

A pose maps a point of the head in the reference to its position in a volume, so that sampling the volume there corrects
the motion. Its parameters (:mod:`voxnas.data.fmri.pose`) are relative to a fixed centre.
"""

from collections.abc import Iterable
from itertools import islice

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from voxnas.data.fmri.pose import to_matrix, to_parameters
from voxnas.data.fmri.volumes import TO_LPS, Array, Volume, to_itk, world_matrix
from voxnas.data.fmri.warp import grid_points, sample

REFERENCE_VOLUMES = 16
BRAIN_RADIUS_MM = 50.0  # default for images without bright voxels
STEP_MM, SMALLEST_STEP_MM, MOST_STEPS = 0.25, 0.002, 100
RELAXATION = 0.8  # of the step at each reversal; smaller values stop before rotations of a round head are found
MARGIN = 2  # voxels around the brain's bounding box


def estimate_motion(volumes: Iterable[Array], reference: Volume) -> NDArray[np.float64]:
    """Estimate the pose of the head at each volume.

    Parameters
    ----------
    volumes : iterable of ndarray, (X, Y, Z)
        On the grid of the reference.
    reference : Volume
        At pose 0.

    Returns
    -------
    ndarray, (T, 6)
        Parameters about :func:`centre_of` the reference.
    """
    fixed, radius = _brain_box(to_itk(reference))
    centre = centre_of(reference)
    pose = sitk.Euler3DTransform()
    pose.SetCenter((TO_LPS[:3, :3] @ centre).tolist())
    found = []
    for volume in volumes:
        pose = _register(fixed, to_itk(reference.with_array(volume)), pose, radius)
        found.append(to_parameters(world_matrix(pose), centre))
    return np.array(found)


def centre_of(volume: Volume) -> NDArray[np.float64]:
    """Return the centre of the grid in mm, (3,)."""
    return nib.affines.apply_affine(volume.affine, (np.array(volume.array.shape) - 1) / 2)


def make_reference(volumes: Iterable[Array], affine: Array) -> Volume:
    """Average the first 16 volumes after their alignment to the middle one.

    Parameters
    ----------
    volumes : iterable of ndarray, (X, Y, Z)
        Steady volumes, in order.
    affine : ndarray, (4, 4)
        Voxels to mm.
    """
    first = list(islice(volumes, REFERENCE_VOLUMES))
    middle = Volume(first[len(first) // 2], affine)
    centre, points = centre_of(middle), grid_points(middle)
    total = np.zeros(len(points))
    for volume, pose in zip(first, estimate_motion(first, middle), strict=True):
        total += sample(middle.with_array(volume), nib.affines.apply_affine(to_matrix(pose, centre), points))
    return middle.with_array((total / len(first)).astype(np.float32).reshape(middle.array.shape))


def _brain_box(image: sitk.Image) -> tuple[sitk.Image, float]:
    """Crop the image to its bright voxels; return it with their radius in mm (root mean square)."""
    bright = sitk.OtsuThreshold(image, 0, 1)
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(bright)
    if not shape.HasLabel(1):
        return image, BRAIN_RADIUS_MM
    box = shape.GetBoundingBox(1)
    low = [max(0, b - MARGIN) for b in box[:3]]
    size = [
        min(n, b + s + MARGIN) - start for n, b, s, start in zip(image.GetSize(), box[:3], box[3:], low, strict=True)
    ]
    radius = float(np.sqrt(sum(shape.GetPrincipalMoments(1))))
    return sitk.RegionOfInterest(image, size, low), max(radius, 1.0)


def _register(
    fixed: sitk.Image, moving: sitk.Image, start: sitk.Euler3DTransform, radius_mm: float
) -> sitk.Euler3DTransform:
    """Find the pose near `start` at which the correlation of two images of one head is largest."""
    search = sitk.ImageRegistrationMethod()
    search.SetNumberOfThreads(1)
    search.SetMetricAsCorrelation()
    search.SetMetricSamplingStrategy(search.NONE)
    search.SetInterpolator(sitk.sitkLinear)
    # Translations and rotations of one step move the brain's surface equally far.
    search.SetOptimizerScales([radius_mm**2] * 3 + [1.0] * 3)
    search.SetOptimizerAsRegularStepGradientDescent(STEP_MM, SMALLEST_STEP_MM, MOST_STEPS, RELAXATION, 1e-12)
    search.SetInitialTransform(sitk.Euler3DTransform(start), inPlace=True)
    return sitk.Euler3DTransform(search.Execute(fixed, moving))
