"""Study files: lookup by name or path, and reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from voxnas.core.errors import UserError
from voxnas.core.settings import StudySettings, parse_settings


def read_study_file(path: str) -> dict[str, Any]:
    """Read a study file for validation without a command line.

    The folder of the scans is given on the command line; a placeholder replaces it if the study requires one.

    Raises
    ------
    yaml.YAMLError, OSError
        If the file is unreadable.
    """
    with open(path, encoding="utf-8") as file:
        raw = yaml.safe_load(file) or {}
    if isinstance(raw, dict) and isinstance(raw.get("data"), dict) and raw["data"].get("folder"):
        raw.setdefault("data_root", "given later")
    return raw


def find_study(folder: Path, text: str) -> tuple[Path | None, str]:
    """Find a study by its name or file.

    Parameters
    ----------
    folder : Path
        Working folder of Snakemake.
    text : str
        Study file, or name of a study.

    Returns
    -------
    file : Path or None
        Study file; None for the default study.
    name : str
        Name of the study.

    Raises
    ------
    UserError
        If the study does not exist.
    """
    default = StudySettings().study
    file = Path(text)
    if file.suffix not in (".yaml", ".yml"):
        file = folder / "config" / "studies" / f"{text}.yaml"
        if not file.exists() and text == default:
            return None, default
    if not file.exists():
        known = sorted({default, *(p.stem for p in (folder / "config" / "studies").glob("*.yaml"))})
        raise UserError(f"there is no study {text!r} ({file} does not exist)", f"known: {', '.join(known)}")
    try:
        raw = read_study_file(str(file))
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {error}") from None
    return file, parse_settings(raw, str(file)).study
