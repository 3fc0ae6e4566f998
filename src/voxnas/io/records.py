"""JSON records with sorted keys, written atomically."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from voxnas.core.errors import UserError
from voxnas.core.plan import Plan, RunPlan, VolumePlan
from voxnas.io.replace import replacing

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: str | Path, data: Any) -> None:
    """Write plain data or a pydantic record as JSON with sorted keys; ValueError for NaN."""
    if isinstance(data, BaseModel):
        data = data.model_dump(mode="json")
    write_text(path, json.dumps(data, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


REWRITE = "delete it and run Snakemake, which writes it again"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def read_json(path: str | Path, remedy: str = REWRITE) -> Any:
    """Read a JSON file; UserError with the `remedy` if it is missing, unreadable or damaged."""
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist", "run the stage that writes it") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", remedy) from None
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, not JSON, too many digits
        raise UserError(f"{path} is not JSON: {error}", remedy) from None


def read_record(path: str | Path, model: type[M], remedy: str = REWRITE) -> M:
    """Read a JSON file as a record of the given model; a UserError names the invalid field."""
    return check_record(path, read_json(path, remedy), model.model_validate, remedy)


def read_plan(path: str | Path, remedy: str = REWRITE) -> Plan:
    """Read a plan.json of volumes or of runs; a UserError names the invalid field."""
    data = read_json(path, remedy)
    if isinstance(data, dict) and data.get("timed"):
        return check_record(path, data, RunPlan.model_validate, remedy)
    return check_record(path, data, VolumePlan.model_validate, remedy)


def check_record(path: str | Path, data: Any, check: Callable[[Any], T], remedy: str = REWRITE) -> T:
    """Validate the content of a file; a UserError names the file and the invalid field."""
    try:
        return check(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{part}: " for part in [".".join(map(str, first["loc"]))] if part)
        raise UserError(f"{path}: {where}{first['msg']}", remedy) from None


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
