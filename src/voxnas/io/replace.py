"""Atomic writing: a file appears complete or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from voxnas.core.errors import UserError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, which replaces `path` when the context ends without an error.

    Readers see the old file or the complete new file. The folder is created; after an error no temporary file remains.

    Parameters
    ----------
    path : path
        File to write.

    Yields
    ------
    Path
        Path in the same folder, under which the caller writes the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # writing to a full disk names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | Path, content: str) -> Iterator[Path]:
    """Yield a temporary folder, which replaces `path` when the context ends without an error.

    Parameters
    ----------
    path : path
        Folder to write; an existing folder is removed at the end.
    content : str
        File that every folder of this kind contains.

    Yields
    ------
    Path
        New folder beside it, in which the caller writes the content.

    Raises
    ------
    UserError
        If the folder contains other files, which are not removed.
    """
    path = Path(path)
    if path.is_dir() and any(path.iterdir()) and not (path / content).exists():
        raise UserError(f"{path} contains other files (and no {content})", "give another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        yield temporary
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def prepare_output(output: Path, names: Sequence[str], overwrite: bool) -> None:
    """Create an `output` folder for files of the given `names`.

    Raises
    ------
    UserError
        If a file exists, unless existing files are to be replaced (`overwrite`).
    """
    taken = [output / name for name in names if os.path.lexists(output / name)]
    if taken and not overwrite:
        more = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
        raise UserError(f"{taken[0]} exists{more}", "give another --output, or replace such files by --overwrite")
    output.mkdir(parents=True, exist_ok=True)
