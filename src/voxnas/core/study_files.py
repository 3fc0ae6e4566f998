"""Study files: what a user calls a study, and what its file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from voxnas.core.errors import UserError
from voxnas.core.settings import StudySettings, parse_settings


def read_study_file(path: str) -> dict[str, Any]:
    """Raw mapping of a study file, complete enough to be checked alone.

    The folder of the scans is given on the command line, not in the file; a name stands for it
    where the study reads one. yaml.YAMLError and OSError are the caller's.
    """
    with open(path, encoding="utf-8") as file:
        raw = yaml.safe_load(file) or {}
    if isinstance(raw, dict) and isinstance(raw.get("data"), dict) and raw["data"].get("folder"):
        raw.setdefault("data_root", "given later")
    return raw


def find_study(folder: Path, text: str) -> tuple[Path | None, str]:
    """Resolve what the user called a study.

    Parameters
    ----------
    folder : Path
        Snakemake's working folder.
    text : str
        A study file, or a study's name.

    Returns
    -------
    file : Path or None
        The study file; None for the default study, which has none.
    name : str
        Name of the study.

    Raises
    ------
    UserError
        If there is no such study.
    """
    default = StudySettings().study
    file = Path(text)
    if file.suffix not in (".yaml", ".yml"):
        file = folder / "config" / "studies" / f"{text}.yaml"
        if not file.exists() and text == default:
            return None, default
    if not file.exists():
        known = sorted({default, *(p.stem for p in (folder / "config" / "studies").glob("*.yaml"))})
        raise UserError(f"there is no study {text!r} ({file} does not exist)", f"known here: {', '.join(known)}")
    try:
        raw = read_study_file(str(file))
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {error}") from None
    return file, parse_settings(raw, str(file)).study
