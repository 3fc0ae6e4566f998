"""Reader of labelled arrays: one array of samples in a file, and a table of their targets.

A folder has this form::

    arrays.json   {"images": "signals.h5:flux", "axes": "NCX", "channels": ["u", "g", "r"]}
    signals.h5    array flux, (N, C, X)
    targets.tsv   one row a sample, in the order of the array; columns are targets

``images`` is FILE, or FILE:NAME for an array of a .npz archive, an HDF5 file or a Zarr group. ``axes`` declares the
axes: samples, channels (first, last or none) and one to three axes of space. Segmentation reads ``labels``, an array of
label maps. The table (.tsv or .csv, by default targets.tsv) may have the columns ``participant_id``, the unit that is
never divided between splits, ``site``, and ``scan``, the name of the sample.
"""

import csv
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from voxnas.core.errors import UserError, suggest
from voxnas.core.settings import Settings, validated
from voxnas.data.layout import Candidate, Layout, read_description
from voxnas.data.participants import Row, site_of, target_of, text_or_none
from voxnas.io.array_files import Axes, open_rows, sample_path
from voxnas.io.tsv import read_cells

DESCRIPTION = "arrays.json"
PAGE = "docs/reference/data.md"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ArraysDescription(Settings):
    """Content of arrays.json; files are relative to its folder."""

    images: str = Field(min_length=1, description="FILE or FILE:NAME of the array of samples.")
    axes: Axes = Field(description="Its axes: N samples, C channels, X, Y and Z of space.")
    channels: tuple[str, ...] = Field((), description="Names of the channels; empty: their numbers.")
    labels: str = Field("", description="FILE or FILE:NAME of the label maps, with the axes of the images without C.")
    label_names: dict[Annotated[int, Field(gt=0, lt=2**31)], str] = Field(
        {}, description='Names of the label values except 0, such as {"1": "nucleus"}.'
    )
    targets: str = Field("targets.tsv", description="Table with one row for each sample.")


def is_arrays(root: Path) -> bool:
    """Return whether a folder has an arrays.json."""
    return (root / DESCRIPTION).is_file()


def has_labels(root: Path) -> bool:
    """Return whether the arrays have label maps."""
    return bool(_description(root).labels)


def read_targets(root: Path) -> list[Row]:
    """Read the rows of the table of targets; empty if the folder has none."""
    path = root / _description(root).targets
    if not path.is_file():
        return []
    if path.suffix == ".csv":
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                names, *cells = [row for row in csv.reader(file) if row]
        except (ValueError, csv.Error) as error:  # a table without a header, or of another encoding
            raise UserError(f"{path} is not a table: {error}", "save it as comma-separated text in UTF-8") from None
        if odd := [row for row in cells if len(row) != len(names)]:
            raise UserError(f"{path}: a row has {len(odd[0])} cells, the header has {len(names)}", "correct the table")
        if len(set(names)) < len(names):
            raise UserError(f"{path} has two columns of one name", "rename or remove one")
    else:
        names, cells = read_cells(path)
    return [{name: text_or_none(cell) for name, cell in zip(names, row, strict=True)} for row in cells]


def read_arrays(root: Path, task: str | None, target: str) -> Layout:
    """List the samples of a folder; no sample is read.

    Parameters
    ----------
    root : path
        The folder.
    task : {"segmentation", "classification", "regression"} or None
        The task; None reads the images alone.
    target : str
        Column of the table, for classification and regression.

    Raises
    ------
    UserError
        If arrays.json has an unknown key, an array is missing, not numeric or of other axes, the table has no column
        `target`, or arrays and table differ in length.
    """
    path, description = root / DESCRIPTION, _description(root)
    axes, space = description.axes, description.axes.replace("C", "")
    images = _open(root, description.images, axes)
    count, rows = images.shape[0], read_targets(root)
    table = root / description.targets
    if task in ("classification", "regression"):
        if not rows:
            raise UserError(f"{table} does not exist or is empty", "it must hold the target, one row for each sample")
        if target not in rows[0]:
            raise UserError(f"{table} has no column {target!r} (data.target)", suggest(target, rows[0]))
    if rows and len(rows) != count:
        raise UserError(f"{table} has {len(rows)} rows, {description.images} has {count} samples", "one row a sample")
    if task == "segmentation":
        if not description.labels:
            raise UserError(
                f"{path} has no labels, which segmentation needs", "add labels, or set task: classification"
            )
        labels = _open(root, description.labels, space)
        of_images = tuple(n for n, axis in zip(images.shape, axes, strict=True) if axis != "C")
        if labels.shape != of_images:
            raise UserError(f"{path}: labels have shape {labels.shape}, images without channels {of_images}")
    extent = images.shape[axes.index("C")] if "C" in axes else 1
    channels = list(description.channels) or (["image"] if extent == 1 else [str(i) for i in range(extent)])
    if len(channels) != extent:
        raise UserError(f"{path}: {len(channels)} names of channels, {description.images} has {extent}")
    width, candidates = len(str(count - 1)), []
    for number in range(count):
        row = rows[number] if rows else {}
        scan = row.get("scan") or f"sample_{number:0{width}d}"
        if not NAME.fullmatch(scan):
            raise UserError(f"{table}: scan = {scan!r} is no name", "letters, digits and . _ - are allowed")
        value, problem = (None, "")
        if task in ("classification", "regression"):
            value, problem = target_of(scan, row, target, task == "regression")
        candidates.append(
            Candidate(
                scan,
                row.get("participant_id") or scan,
                (_address(root, description.images, axes, number),),
                site=site_of(row),
                label=_address(root, description.labels, space, number) if task == "segmentation" else None,
                target=value,
                last_axis="channel",
                problem=problem,
            )
        )
    names = dict(sorted(description.label_names.items())) if task == "segmentation" else {}
    known = {0: "background"} | names if names else {}
    identified = bool(rows) and "participant_id" in rows[0]
    return Layout("arrays", root.name, candidates, channels, known, identified=identified)


def _description(root: Path) -> ArraysDescription:
    path = root / DESCRIPTION
    return validated(ArraysDescription, read_description(path), str(path), page=PAGE)


def _split(text: str) -> tuple[str, str]:
    """Return the file and the name of the array."""
    file, _, name = text.partition(":")
    return file, name


def _address(root: Path, text: str, axes: str, row: int) -> Path:
    file, name = _split(text)
    return sample_path(root / file, axes, name, row)


def _open(root: Path, text: str, axes: str) -> Any:
    """Open an array and check its axes and its type."""
    file, name = _split(text)
    rows = open_rows(root / file, name)
    if len(rows.shape) != len(axes) or not all(rows.shape):
        raise UserError(f"{root / file}: {text} has the shape {tuple(rows.shape)}, axes {axes} need {len(axes)} sizes",
                        f"correct axes in {DESCRIPTION}")  # fmt: skip
    if rows.dtype.kind not in "biuf":
        raise UserError(f"{root / file}: {text} is of type {rows.dtype}, numbers are required", "convert it to float32")
    return rows
