"""Names and descriptions of the outputs of the spatial steps: BIDS derivatives, with fMRIPrep's vocabulary."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from voxnas import __version__
from voxnas.io.records import write_json

BIDS_VERSION = "1.9.0"


@dataclass(frozen=True)
class Step:
    """The outcome of one step.

    Attributes
    ----------
    name : str
        As in the settings.
    reason : str
        Why the step was omitted; empty: it was done.
    details : dict
        Parameters and results of the step, as JSON data.
    """

    name: str
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class Names:
    """Paths of a run's derivatives, relative to their folder.

    Parameters
    ----------
    bold : path
        The raw image, ``sub-X[_ses-Y]_.._bold.nii.gz``.
    space : str
        Entity of the output space; empty: the run's own space.
    """

    def __init__(self, bold: str | Path, space: str) -> None:
        stem = re.sub(r"_bold\.nii(\.gz)?$", "", Path(bold).name)
        participant, session = (re.search(rf"(?:^|_)({key}-[^_]+)", stem) for key in ("sub", "ses"))
        found = [match[1] for match in (participant, session) if match]
        self.folder = Path(*found, "func")
        spaced = f"{stem}_space-{space}" if space else stem
        self.bold = self.folder / f"{spaced}_desc-preproc_bold.nii.gz"
        self.sidecar = self.folder / f"{spaced}_desc-preproc_bold.json"
        self.mask = self.folder / f"{spaced}_desc-brain_mask.nii.gz"
        self.reference = self.folder / f"{stem}_boldref.nii.gz"
        self.confounds = self.folder / f"{stem}_desc-confounds_timeseries.tsv"
        self.to_t1w = self.folder / f"{stem}_from-boldref_to-T1w_mode-image_xfm.txt"
        self.from_template = self.folder / f"{stem}_from-{space}_to-T1w_mode-image_xfm.txt"


def describe_run(
    path: Path, raw: str | Path, repetition_time: float, start_time: float | None, dropped: int, steps: Sequence[Step]
) -> None:
    """Write the sidecar of a series, with the outcome of each step.

    Parameters
    ----------
    path : Path
        Of the sidecar.
    raw : path
        The source image.
    repetition_time : float
        In s.
    start_time : float or None
        Reference time of the slice timing correction within a volume, in s; None: not corrected.
    dropped : int
        Volumes dropped at the start.
    steps : sequence of Step
        In order.
    """
    record: dict[str, Any] = {
        "Sources": [Path(raw).name],
        "RepetitionTime": repetition_time,
        "SliceTimingCorrected": start_time is not None,
        "NumberOfVolumesDiscardedByUser": dropped,
        "SkullStripped": False,
        "Steps": [asdict(step) for step in steps],
    }
    if start_time is not None:
        record["StartTime"] = start_time
    write_json(path, record)


def describe_confounds(path: Path, columns: Sequence[str], centre_mm: Sequence[float]) -> None:
    """Write the sidecar of a table of confounds, with the meanings of its columns."""
    meanings: Mapping[str, Mapping[str, str]] = {
        "trans": {"Description": "shift of the head along R, A or S", "Units": "mm"},
        "rot": {
            "Description": "turn of the head about R, then A, then S, through the centre "
            f"({', '.join(f'{c:.2f}' for c in centre_mm)}) mm",
            "Units": "rad",
        },
        "framewise": {"Description": "Power et al. 2012, on a sphere of 50 mm", "Units": "mm"},
        "dvars": {"Description": "Power et al. 2012, of a mean signal of 1000", "Units": "arbitrary"},
        "c": {"Description": "principal component of CSF", "Method": "aCompCor", "Mask": "CSF"},
        "w": {"Description": "principal component of white matter", "Method": "aCompCor", "Mask": "WM"},
    }
    write_json(path, {c: meanings[key] for c in columns if (key := c.split("_")[0]) in meanings})


def describe_dataset(folder: str | Path) -> None:
    """Write dataset_description.json of the derivatives."""
    write_json(
        Path(folder) / "dataset_description.json",
        {
            "Name": "Runs after the spatial steps",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "voxnas spatial", "Version": __version__}],
        },
    )
