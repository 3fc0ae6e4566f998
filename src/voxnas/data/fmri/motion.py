"""Rigid motion of the head: the pose at each volume, in six numbers, and what it does from one to the next.

Each volume is registered to a reference, the mean of the first steady volumes after they were
brought onto one of them. The measure is the correlation over the brain's box (Jenkinson et al. 2002
use the closely related correlation ratio), searched by SimpleITK with the volume before as the start:
a head moves little in a repetition time.

Poses say where a point of the head that the reference shows lies in a volume, so that sampling a
volume there undoes the motion. Parameters are shifts along R, A, S in mm and angles about these axes in
radians (:func:`to_matrix` is their definition), all about a fixed centre.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from voxnas.data.fmri.volumes import TO_LPS, Array, Volume, to_itk, world_matrix
from voxnas.data.fmri.warp import grid_points, sample

COLUMNS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
TURNS = "xyz"  # about R, then A, then S, each an axis of the world, by the right hand
REFERENCE_VOLUMES = 16
BRAIN_RADIUS_MM = 50.0  # where nothing is bright
STEP_MM, SMALLEST_STEP_MM, MOST_STEPS = 0.25, 0.002, 100
RELAXATION = 0.8  # of the step at each turn; a smaller one stops before rotations of a round head are found
MARGIN = 2  # voxels around the brain's box


def to_matrix(parameters: Array, centre: Array) -> NDArray[np.float64]:
    """The pose as a matrix, mm to mm.

    Parameters
    ----------
    parameters : ndarray, (6,)
        Shifts in mm, angles in rad: a point turns about R, then A, then S, through the centre, and is shifted.
    centre : ndarray, (3,)
        In mm.

    Returns
    -------
    ndarray, (4, 4)
    """
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler(TURNS, parameters[3:]).as_matrix()
    matrix[:3, 3] = parameters[:3] + centre - matrix[:3, :3] @ centre
    return matrix


def to_parameters(matrix: Array, centre: Array) -> NDArray[np.float64]:
    """The six numbers of a pose, the inverse of :func:`to_matrix`."""
    angles = Rotation.from_matrix(matrix[:3, :3]).as_euler(TURNS)
    shift = matrix[:3, :3] @ centre + matrix[:3, 3] - centre
    return np.array([*shift, *angles])


def estimate_motion(volumes: Iterable[Array], reference: Volume) -> NDArray[np.float64]:
    """Pose of the head at each volume.

    Parameters
    ----------
    volumes : iterable of ndarray, (X, Y, Z)
        On the grid of the reference.
    reference : Volume
        Where pose 0 is.

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
    """Centre of the grid in mm, (3,)."""
    return nib.affines.apply_affine(volume.affine, (np.array(volume.array.shape) - 1) / 2)


def make_reference(volumes: Iterable[Array], affine: Array) -> Volume:
    """Mean of the first 16 volumes, after they were brought onto the middle one of them.

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
    """The image around what is bright in it, and the radius of that in mm (root mean square)."""
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
    """The pose nearest to `start` at which two images of one head correlate most."""
    search = sitk.ImageRegistrationMethod()
    search.SetNumberOfThreads(1)
    search.SetMetricAsCorrelation()
    search.SetMetricSamplingStrategy(search.NONE)
    search.SetInterpolator(sitk.sitkLinear)
    # A step is as long for the brain's rim whether it shifts or turns.
    search.SetOptimizerScales([radius_mm**2] * 3 + [1.0] * 3)
    search.SetOptimizerAsRegularStepGradientDescent(STEP_MM, SMALLEST_STEP_MM, MOST_STEPS, RELAXATION, 1e-12)
    search.SetInitialTransform(sitk.Euler3DTransform(start), inPlace=True)
    return sitk.Euler3DTransform(search.Execute(fixed, moving))
