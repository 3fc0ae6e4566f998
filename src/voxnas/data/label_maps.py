"""Label maps of BIDS derivatives, and the names of the labels."""

from pathlib import Path

from voxnas.core.errors import UserError, suggest
from voxnas.core.settings import DataSettings
from voxnas.data.bids_files import BidsFiles
from voxnas.data.bids_names import ADDED_ENTITIES, TIME_SUFFIXES, BidsName, parse_name
from voxnas.io.tables import read_table

OWN_SPACES = {"orig", "T1w", "T2w", "native", "individual"}


def label_maps(derivative: Path, suffix: str) -> list[Path]:
    """List the images of a derivative whose names end with the suffix of label maps."""
    return BidsFiles(derivative).images(lambda name: name.endswith(f"_{suffix}"))


def find_derivative(root: Path, settings: DataSettings) -> Path:
    """Return the only folder under derivatives/ that holds label maps; otherwise raise a UserError."""
    folders = [p for p in sorted((root / "derivatives").glob("*")) if p.is_dir()]
    suffix = settings.label_suffix
    if settings.derivatives:
        folder = root / "derivatives" / settings.derivatives
        if not folder.is_dir():
            raise UserError(
                f"{folder} does not exist (data.derivatives)", suggest(folder.name, [f.name for f in folders])
            )
        folders = [folder]
    having = [f for f in folders if label_maps(f, suffix)]
    if not having:
        raise UserError(
            f"{root / 'derivatives' / settings.derivatives}: no label map *_{suffix}.nii.gz (data.label_suffix)",
            suggest(suffix, label_suffixes(root)),
        )
    if len(having) > 1:
        raise UserError(
            f"{root}: {len(having)} derivatives have label maps *_{suffix}.nii.gz",
            f"set data.derivatives to one of {', '.join(f.name for f in having)}",
        )
    return having[0]


def label_suffixes(root: Path) -> list[str]:
    """List the suffixes of images under derivatives/ that may be label maps."""
    folders = [p for p in (root / "derivatives").glob("*") if p.is_dir()]
    suffixes = {parse_name(p).suffix for f in folders for p in BidsFiles(f).images(lambda name: True)}
    return sorted({s.partition("_")[2] or s for s in suffixes} - TIME_SUFFIXES)


def label_of(name: BidsName, maps: list[Path], suffix: str) -> tuple[Path | None, str]:
    """Return the label map of an image among those of its participant, or None and the reason."""
    fits = [path for path in maps if _labels(parse_name(path), name, suffix)]
    if not fits:
        return None, f"no label map *_{suffix}.nii.gz for this image"
    if len(fits) > 1:
        return None, f"{len(fits)} label maps match this image ({', '.join(p.name for p in fits[:3])}); keep one"
    return fits[0], ""


def _labels(other: BidsName, name: BidsName, suffix: str) -> bool:
    """Return whether the label map `other` has the entities of the image `name` and lies in its space."""
    if other.suffix == f"{name.suffix}_{suffix}":
        return other.entities == name.entities
    own = {k: v for k, v in other.entities.items() if k in name.entities or k not in ADDED_ENTITIES}
    spaces = {None, name.entities.get("space"), *OWN_SPACES}
    return other.suffix == suffix and own == name.entities and other.entities.get("space") in spaces


def read_label_names(derivative: Path, maps: list[Path], suffix: str) -> dict[int, str]:
    """Read the names of the label values from ``*dseg.tsv`` (columns index and name); {} without such a table.

    The table lies at the root of the derivative or beside a label map.
    """
    folders = [derivative, *sorted({p.parent for p in maps})]
    tables = [p for f in folders for p in sorted({*f.glob(f"*{suffix}.tsv"), *f.glob("*dseg.tsv")})]
    labels: dict[int, str] = {}
    for path in tables:
        table = read_table(path, {"index": int, "name": str})
        for index, label in zip(table["index"], table["name"], strict=True):
            if labels.setdefault(int(index), str(label)) != str(label):
                raise UserError(f"{path}: label {index} is {label!r} here and {labels[int(index)]!r} elsewhere")
    return {0: "background"} | dict(sorted(labels.items())) if labels else {}
