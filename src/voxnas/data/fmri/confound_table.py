"""The table of confounds of a run, with fMRIPrep's column names, computed volume by volume.

==============================  ==========================================================================
``trans_x`` .. ``rot_z``        pose of the head, in mm and rad (:mod:`voxnas.data.fmri.pose`)
``framewise_displacement``      Power et al. (2012), in mm; n/a for the first volume
``global_signal``, ``csf``,     mean over the brain, over deep CSF, over deep white matter
``white_matter``
``dvars``                       change from the preceding volume: root mean square over the brain, in thousandths
                                of its mean signal (Power et al. 2012); n/a for the first volume
``c_comp_cor_NN``,              principal components of CSF and white matter (Behzadi et al. 2007), after a
``w_comp_cor_NN``               high-pass at 1/128 Hz
==============================  ==========================================================================
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from voxnas.data.fmri.pose import MOTION, framewise_displacement
from voxnas.data.fmri.registration import load_template
from voxnas.data.fmri.volumes import Array, Volume
from voxnas.data.fmri.warp import grid_points, sample

TISSUES = {"csf": "c", "white_matter": "w"}  # with the first letter of their components
COMPONENTS = 5
COMPONENT_VOXELS = 500  # of a tissue, evenly spaced; only their series grow with the run
HIGH_PASS = 1 / 128  # Hz, before the components
DEEP_MM = 15.0  # depth below which CSF is in the ventricles
SHARE, FEWEST = 0.9, 8  # least share of a tissue in a voxel, and least number of voxels, which may lower the share


def tissue_masks(grid: Volume) -> dict[str, NDArray[np.bool_]]:
    """Return the voxels of a grid in the template's space that contain almost only one tissue, (X, Y, Z) each."""
    template = load_template()
    depth = ndimage.distance_transform_edt(template.brain) * np.abs(template.affine[0, 0])
    csf = np.clip(1 - template.grey - template.white, 0, 1) * (depth > DEEP_MM)
    points = grid_points(grid)
    masks = {}
    size = float(np.abs(grid.affine[0, 0]))
    for name, share in {"csf": csf, "white_matter": template.white}.items():
        # A voxel of the grid contains the average over its size.
        blurred = ndimage.gaussian_filter(share, max(size / np.abs(template.affine[0, 0]), 1) / 2.35)
        found = sample(template.volume(blurred), points, order=1)
        masks[name] = (found >= min(SHARE, np.sort(found)[-FEWEST])).reshape(grid.array.shape)
    return masks


class ConfoundMeter:
    """Computes the signals of a run volume by volume.

    Parameters
    ----------
    brain : ndarray of bool, (X, Y, Z)
        On the grid of the volumes.
    tissues : mapping of str to ndarray of bool, (X, Y, Z)
        Of :func:`tissue_masks`; empty if the run is not in the template's space.
    """

    def __init__(self, brain: NDArray[np.bool_], tissues: Mapping[str, NDArray[np.bool_]]) -> None:
        self._brain = np.flatnonzero(brain)
        self._tissues = {name: np.flatnonzero(mask) for name, mask in tissues.items()}
        self._rows: list[dict[str, float]] = []
        self._noise: dict[str, list[NDArray]] = {name: [] for name in tissues}
        self._before: NDArray | None = None

    def add(self, volume: Array) -> None:
        """Add the next volume, (X, Y, Z)."""
        flat = volume.ravel()
        brain = flat[self._brain]
        row = {"global_signal": float(brain.mean())}
        change = np.nan if self._before is None else float(np.sqrt(np.mean((brain - self._before) ** 2)))
        self._before = brain
        for name, voxels in self._tissues.items():
            row[name] = float(flat[voxels].mean())
            every = max(1, len(voxels) // COMPONENT_VOXELS)
            self._noise[name].append(flat[voxels[::every]])
        self._rows.append({**row, "dvars": change})

    def table(self, poses: Array, repetition_time: float) -> pd.DataFrame:
        """Return the table, one row for each volume.

        Parameters
        ----------
        poses : ndarray, (T, 6)
            Of :func:`voxnas.data.fmri.motion.estimate_motion`.
        repetition_time : float
            In s.
        """
        motion = pd.DataFrame(poses, columns=list(MOTION))
        moved = framewise_displacement(np.asarray(poses, dtype=float))
        moved[0] = np.nan
        signals = pd.DataFrame(self._rows)
        signals["dvars"] *= 1000 / max(float(signals["global_signal"].mean()), 1e-6)
        parts = [motion, pd.Series(moved, name="framewise_displacement"), signals]
        for name, letter in TISSUES.items():
            if self._noise.get(name):
                parts.append(_components(np.stack(self._noise[name]), repetition_time, f"{letter}_comp_cor_"))
        return pd.concat(parts, axis=1).round(6)


def _components(series: NDArray, repetition_time: float, prefix: str) -> pd.DataFrame:
    """Return the principal components of series (T, V) over time, each of unit length and arbitrary sign."""
    from nilearn.glm.first_level import make_first_level_design_matrix

    frames = len(series)
    times = np.arange(frames) * repetition_time
    slow = make_first_level_design_matrix(times, drift_model="cosine", high_pass=HIGH_PASS).to_numpy()
    series = series - slow @ np.linalg.lstsq(slow, series, rcond=None)[0]
    series /= np.maximum(series.std(axis=0), 1e-6)
    left = np.linalg.svd(series, full_matrices=False)[0][:, :COMPONENTS]
    left *= np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])])
    return pd.DataFrame(left, columns=[f"{prefix}{n:02d}" for n in range(left.shape[1])])
