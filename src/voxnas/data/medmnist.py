"""Reader of the MedMNIST layout (Yang et al. 2023, Scientific Data): one .npz archive with images and targets.

The splits of the archive are ignored: the volumes of all splits are pooled. Arrays ``<split>_participants`` (N,) name
the participant of each volume; an identifier is one person in all splits. MedMNIST's own archives lack them, so that
the participants are unknown and every volume counts as one.
"""

from collections.abc import Sequence
from pathlib import Path

from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings
from voxnas.data.layout import Candidate, Layout
from voxnas.data.participants import text_or_none
from voxnas.io.npz import IMAGES, array_names, read_rows, volume_path

PARTICIPANTS = "participants"


def archives(root: Path) -> list[Path]:
    """List the archives with images in a folder, or the archive itself."""
    files = [root] if root.is_file() else sorted(root.glob("*.npz"))
    return [f for f in files if f.suffix == ".npz" and any(name.endswith(IMAGES) for name in array_names(f))]


def is_medmnist(root: Path) -> bool:
    """Return whether a path is an archive with images, or a folder with one."""
    return bool(archives(root))


def read_medmnist(root: Path, settings: DataSettings) -> Layout:
    """List the volumes of an archive.

    Parameters
    ----------
    root : path
        The archive, or a folder with one.
    settings : DataSettings
        Its ``target`` names the arrays ``<split>_<target>``; empty: no targets.

    Raises
    ------
    UserError
        If the folder has several archives, or images, targets and participants differ in number.
    """
    found = archives(root)
    if len(found) > 1:
        names = ", ".join(f.name for f in found)
        raise UserError(f"{root} holds {len(found)} archives: {names}", "name one in data.folder")
    file = found[0]
    arrays = array_names(file)
    identified = any(name.endswith(f"_{PARTICIPANTS}") for name in arrays)
    candidates: list[Candidate] = []
    for split in sorted(name.removesuffix(IMAGES) for name in arrays if name.endswith(IMAGES)):
        images = read_rows(file, split + IMAGES)
        if images.ndim not in (3, 4):
            raise UserError(
                f"{file}: {split}{IMAGES} has {images.ndim} axes, volumes have 4 (N, X, Y, Z) and planes 3 (N, X, Y)"
            )
        targets = _values(file, split, settings.target, arrays, len(images))
        people = _values(file, split, PARTICIPANTS if identified else "", arrays, len(images))
        width = len(str(len(images) - 1))
        for row, (target, person) in enumerate(zip(targets, people, strict=True)):
            scan = f"{split}_{row:0{width}d}"
            problem = f"{settings.target} is missing (NaN)" if settings.target and target is None else ""
            image = volume_path(file, split, row)
            candidates.append(Candidate(scan, person or scan, (image,), target=target, problem=problem))
    return Layout("npz", file.stem, candidates, ["image"], identified=identified)


def _values(file: Path, split: str, column: str, arrays: list[str], count: int) -> Sequence[str | None]:
    """Read the value of each volume of a split as text, None if missing or without a `column`.

    Raises
    ------
    UserError
        If the archive lacks the array, or the number of values differs.
    """
    if not column:
        return [None] * count
    name = f"{split}_{column}"
    if name not in arrays:
        others = [n.removeprefix(f"{split}_") for n in arrays if n.startswith(f"{split}_") and not n.endswith(IMAGES)]
        raise UserError(f"{file} has no array {name!r}", f"this split has {', '.join(others) or 'images only'}")
    values = read_rows(file, name)
    if values.size != count:
        raise UserError(f"{file}: {name} has shape {values.shape}, one value for each of {count} volumes is needed")
    return [text_or_none(value) for value in values.reshape(-1).tolist()]
