"""The layout of MedMNIST (Yang et al. 2023, Scientific Data): one .npz archive with images and targets.

The splits in the archive are not the study's: the volumes of all of them are pooled and each is a
participant of its own, for the archive does not say which volumes belong to one person.
"""

from __future__ import annotations

from pathlib import Path

from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings
from voxnas.data.layout import Candidate, Layout
from voxnas.io.npz import IMAGES, array_names, read_rows, volume_path


def archives(root: Path) -> list[Path]:
    """The archives with images in a folder, or the archive itself."""
    files = [root] if root.is_file() else sorted(root.glob("*.npz"))
    return [f for f in files if f.suffix == ".npz" and any(name.endswith(IMAGES) for name in array_names(f))]


def is_medmnist(root: Path) -> bool:
    """Whether a folder holds such an archive, or is one."""
    return bool(archives(root))


def read_medmnist(root: Path, settings: DataSettings) -> Layout:
    """List the volumes of an archive.

    Parameters
    ----------
    root : path
        The archive, or a folder with one.
    settings : DataSettings
        Of it ``target``, by which an array ``<split>_<target>`` is named; empty: no targets.

    Raises
    ------
    UserError
        If there are several archives, or images and targets do not fit together.
    """
    found = archives(root)
    if len(found) > 1:
        names = ", ".join(f.name for f in found)
        raise UserError(f"{root} holds {len(found)} archives: {names}", "name one in data.folder")
    file = found[0]
    arrays = array_names(file)
    candidates: list[Candidate] = []
    for split in sorted(name.removesuffix(IMAGES) for name in arrays if name.endswith(IMAGES)):
        images = read_rows(file, split + IMAGES)
        if images.ndim != 4:
            raise UserError(f"{file}: {split}{IMAGES} has {images.ndim} axes, volumes have 4 (N, X, Y, Z)")
        targets = _targets(file, f"{split}_{settings.target}", arrays, len(images)) if settings.target else None
        width = len(str(len(images) - 1))
        for row in range(len(images)):
            scan = f"{split}_{row:0{width}d}"
            target = None if targets is None else targets[row]
            candidates.append(Candidate(scan, scan, (volume_path(file, split, row),), target=target))
    return Layout("npz", file.stem, candidates, ["image"])


def _targets(file: Path, name: str, arrays: list[str], count: int) -> list[str]:
    """One text a volume; UserError if the array does not have one value for each."""
    if name not in arrays:
        split = name.split("_")[0]
        others = [n.removeprefix(f"{split}_") for n in arrays if n.startswith(f"{split}_") and not n.endswith(IMAGES)]
        raise UserError(f"{file} has no array {name!r}", f"data.target can be {', '.join(others) or 'nothing here'}")
    values = read_rows(file, name)
    if values.size != count:
        raise UserError(f"{file}: {name} has shape {values.shape}, one value for each of {count} volumes is needed")
    return [str(value) for value in values.reshape(-1).tolist()]
