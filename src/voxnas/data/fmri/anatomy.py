"""Registration of a run to the template's space, through the T1-weighted image of its participant if available."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from voxnas.core.errors import ScanError
from voxnas.data.fmri.bias import bias_field
from voxnas.data.fmri.brain_mask import anatomical_mask, is_stripped
from voxnas.data.fmri.registration import register_rigid, register_template
from voxnas.data.fmri.volumes import Volume, to_itk
from voxnas.data.fmri.warp import Points, grid_points, move_grid, sample
from voxnas.io.nifti import load_array

HEAD = 0.1  # threshold between air and head, relative to the 98th percentile of the intensities


@dataclass
class Anatomy:
    """A participant's T1-weighted image, after bias correction.

    Attributes
    ----------
    path : Path
        The image.
    t1 : Volume
        Canonical, float32.
    template : Transform or None
        From the template, after its first estimation; the runs of a participant share it.
    """

    path: Path
    t1: Volume
    template: sitk.Transform | None = None


def load_anatomy(path: Path) -> Anatomy:
    """Load a T1-weighted image and correct its bias field.

    Raises
    ------
    ScanError
        If the file cannot be read, or is not a volume.
    """
    array, affine = load_array(path)
    if array.ndim != 3:
        raise ScanError(f"{path}: {array.shape[3]} volumes, a T1-weighted image has one")
    image = nib.as_closest_canonical(nib.Nifti1Image(array, affine))
    t1 = Volume(np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine, dtype=float))
    head = t1.array > (0 if is_stripped(t1) else HEAD * np.percentile(t1.array, 98))
    return Anatomy(path, t1.with_array(t1.array / bias_field(t1, head)))


@dataclass(frozen=True)
class Alignment:
    """Transforms between a run, its T1-weighted image and the template.

    Attributes
    ----------
    to_t1w : Transform or None
        From the run to the T1-weighted image.
    from_template : Transform or None
        From the template to the T1-weighted image, or to the run if there is no such image.
    overlap : float or None
        Dice overlap of the brain masks of the run and of the T1-weighted image, if the latter is skull-stripped.
    """

    to_t1w: sitk.Transform | None = None
    from_template: sitk.Transform | None = None
    overlap: float | None = None

    def positions(self, grid: Volume) -> Points:
        """Return the positions in the run, in mm, of the voxels of a grid in the template's (else the T1w's) space."""
        parts = [t for t in (self.to_t1w and self.to_t1w.GetInverse(), self.from_template) if t is not None]
        return move_grid(grid, sitk.CompositeTransform(parts)) if parts else grid_points(grid)


def align(mean: Volume, brain: NDArray[np.bool_], anatomy: Anatomy | None, template: bool) -> Alignment:
    """Register a run.

    Parameters
    ----------
    mean : Volume
        Of the run, after bias correction.
    brain : ndarray of bool, (X, Y, Z)
        Its brain mask.
    anatomy : Anatomy or None
        A missing transform from the template is estimated and stored here, if `template` is set.
    template : bool
        Whether to register to the template.
    """
    if anatomy is None:
        return Alignment(from_template=register_template(mean, brain, deform=False)) if template else Alignment()
    to_t1w = register_rigid(mean, brain, anatomy.t1)
    points = move_grid(anatomy.t1, to_t1w.GetInverse())
    inside = anatomical_mask(anatomy.t1, mean.with_array(brain), points)
    if template and anatomy.template is None:
        anatomy.template = register_template(anatomy.t1, inside)
    overlap = None
    if is_stripped(anatomy.t1):
        moved = sample(mean.with_array(brain), points, order=0).reshape(inside.shape) > 0
        overlap = dice(moved, inside)
    return Alignment(to_t1w, anatomy.template if template else None, overlap)


def dice(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the Dice overlap of two masks on one grid, to four digits; 0 if both are empty."""
    total = int(mask.sum()) + int(other.sum())
    return round(2 * int((mask & other).sum()) / total, 4) if total else 0.0


def same_head_grid(anatomy: Anatomy, spacing_mm: float) -> Volume:
    """Return an empty grid over the T1-weighted image, with cubic voxels of the given size."""
    like = to_itk(anatomy.t1)
    extent = np.array(like.GetSize()) * np.array(like.GetSpacing())
    shape = np.ceil(extent / spacing_mm).astype(int)
    scale = spacing_mm / np.array(like.GetSpacing())
    affine = anatomy.t1.affine @ np.diag([*scale, 1.0])
    affine[:3, 3] = anatomy.t1.affine[:3, 3] + anatomy.t1.affine[:3, :3] @ ((scale - 1) / 2)
    return Volume(np.zeros(shape, dtype=np.uint8), affine)
