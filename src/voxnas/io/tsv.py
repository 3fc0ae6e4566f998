"""Cells of a tab-separated file as texts, without pandas.

Quotes have no meaning, so that a stray one cannot join rows; only a cell that is quoted completely, as R and Excel
write texts, loses its quotes. Every row must have the cells of the header, so that a truncated file is not read as a
complete one.
"""

from pathlib import Path

from voxnas.core.errors import UserError


def read_cells(path: str | Path) -> tuple[list[str], list[list[str]]]:
    """Read the header and the rows; blank lines, and columns without a name, are ignored.

    Raises
    ------
    UserError
        If the file is missing, unreadable, not UTF-8 or empty, two columns have one name, or a row lacks cells.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} does not exist" if not path.exists() else f"{path} is not a file",
                        "run the stage that writes it")  # fmt: skip
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a tab-separated table: {error}", "save it as text in UTF-8") from None
    lines = [(number, line.split("\t")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise UserError(f"{path} is not a tab-separated table: it is empty")
    _, header = lines[0]
    for number, cells in lines:
        if len(cells) != len(header):
            raise UserError(
                f"{path}: line {number} has {len(cells)} cells, the header has {len(header)}",
                "separate the cells by single tabs; a truncated file must be written again",
            )
    names = [_plain(cell).strip() for cell in header]
    named = [place for place, name in enumerate(names) if name]
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:
        raise UserError(f"{path} has two columns {min(twice)!r}", "rename or remove one")
    return [names[i] for i in named], [[_plain(cells[i]) for i in named] for _, cells in lines[1:]]


def _plain(cell: str) -> str:
    """Remove the quotes around a cell; quotes inside are doubled."""
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell
