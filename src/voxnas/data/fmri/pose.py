"""Pose of the head as six numbers, as a matrix, and its change from volume to volume.

The numbers are translations along R, A, S in mm and rotations about these axes in rad.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")  # columns of fMRIPrep
AXES = "xyz"  # about R, then A, then S: fixed axes, by the right-hand rule
HEAD_RADIUS_MM = 50.0  # radius at which rotations are measured (Power et al. 2012)


def to_matrix(parameters: NDArray[np.floating], centre: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the pose as a matrix, mm to mm.

    Parameters
    ----------
    parameters : ndarray, (6,)
        A point is rotated about R, then A, then S, through the centre, and then translated.
    centre : ndarray, (3,)
        In mm.

    Returns
    -------
    ndarray, (4, 4)
    """
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler(AXES, parameters[3:]).as_matrix()
    matrix[:3, 3] = parameters[:3] + centre - matrix[:3, :3] @ centre
    return matrix


def to_parameters(matrix: NDArray[np.floating], centre: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the six numbers of a pose, the inverse of :func:`to_matrix`."""
    angles = Rotation.from_matrix(matrix[:3, :3]).as_euler(AXES)
    shift = matrix[:3, :3] @ centre + matrix[:3, 3] - centre
    return np.array([*shift, *angles])


def framewise_displacement(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the framewise displacement in mm (Power et al. 2012, doi:10.1016/j.neuroimage.2011.10.018).

    Parameters
    ----------
    motion : ndarray, (T, 6)
        Translations in mm, then rotations in rad. The first volume has 0.
    """
    steps = np.abs(np.diff(motion, axis=0, prepend=motion[:1]))
    return steps[:, :3].sum(axis=1) + HEAD_RADIUS_MM * steps[:, 3:].sum(axis=1)
