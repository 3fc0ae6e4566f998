"""Study files: lookup by name or path, and reading."""

from pathlib import Path
from typing import Any

import yaml

from voxnas.core.errors import UserError
from voxnas.core.project import project_folder
from voxnas.core.settings import StudySettings, parse_settings

LARGEST = 1_000_000  # bytes of a YAML file


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file as plain data.

    Raises
    ------
    UserError
        If the file is no regular file, too large, unreadable or no YAML.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise UserError(f"{path} is not a file", "give the path of a YAML file")
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UserError(f"{path} is larger than {LARGEST:,} bytes", "give the path of a YAML file")
        return yaml.safe_load(content.decode("utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", "give the path of a YAML file") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply", "give the path of a YAML file") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, an impossible date, too many digits
        raise UserError(f"{path} is not YAML: {error}") from None


def read_study_file(path: str | Path, data_root: str = "given later") -> dict[str, Any]:
    """Read a study file for validation without a command line.

    The folder of the scans is given on the command line; `data_root` replaces it if the study requires one.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    raw = read_yaml(path) or {}
    if isinstance(raw, dict) and isinstance(raw.get("data"), dict) and raw["data"].get("folder"):
        raw.setdefault("data_root", data_root)
    return raw


def check_data_root(settings: StudySettings, stated: dict[str, Any], source: str) -> None:
    """Check that the folder of the data set exists, and that generated scans are used on request only.

    Parameters
    ----------
    settings : StudySettings
    stated : dict
        The study file and the command line without the defaults. Without ``data_root``, a study other than the default
        study must state ``data.phantom``.
    source : str
        Source of the settings, for the message.

    Raises
    ------
    UserError
        Before any job is planned.
    """
    if settings.data_root:
        if not Path(settings.data_root).exists():
            raise UserError(f"data_root {settings.data_root} does not exist", "check --config data_root=PATH")
        return
    data = stated.get("data") or {}
    if "phantom" not in data and (data or settings.study != StudySettings().study):
        raise UserError(
            f"{source}: study {settings.study!r} names no data: data_root is empty",
            "add --config data_root=PATH, with the folder of the data set, or state data.phantom: "
            "{participants: 40} for generated scans",
        )


def find_study(folder: Path, text: str) -> tuple[Path | None, str]:
    """Find a study by its name or file.

    A name is looked up in ``config/studies`` of the working folder, then of the project or the installed package.

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
    places = [root / "config" / "studies" for root in (folder, project_folder())]
    if file.suffix not in (".yaml", ".yml"):
        files = [place / f"{text}.yaml" for place in places]
        file = next((file for file in files if file.exists()), files[0])
        if not file.exists() and text == default:
            return None, default
    if not file.exists():
        known = sorted({default, *(p.stem for place in places for p in place.glob("*.yaml"))})
        raise UserError(f"there is no study {text!r} ({file} does not exist)", f"known: {', '.join(known)}")
    return file, parse_settings(read_study_file(str(file)), str(file)).study
