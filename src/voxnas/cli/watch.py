"""``voxnas watch``: show the progress of a study in the terminal.

Only reads the files of the study, so that it can run on any host with access to them. Ends with the study or on
Ctrl-C; without a terminal it prints the state once.
"""

import argparse
from pathlib import Path

from voxnas.core.errors import UserError

EXAMPLE = "example: voxnas watch hippocampus"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "study", metavar="STUDY", help="name of the study, study file (config/studies/NAME.yaml) or folder of the study"
    )
    parser.add_argument("--once", action="store_true", help="print the state once and end")
    parser.add_argument(
        "--every", type=_seconds, default=3.0, metavar="SECONDS", help="interval between updates (default: 3)"
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.2 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.2 and 3600")
    return value


def run(arguments: argparse.Namespace) -> None:
    """Show the study."""
    from rich.console import Console

    from voxnas.operate.progress import Watcher
    from voxnas.operate.terminal import show_live, show_once

    watcher = Watcher(find_folder(Path.cwd(), arguments.study))
    console = Console(highlight=False)
    if arguments.once or not console.is_terminal:
        show_once(watcher, console)
    else:
        show_live(watcher, console, arguments.every)


def find_folder(folder: Path, text: str) -> Path:
    """Find the folder of a study from its name, its file or its folder.

    Raises
    ------
    UserError
        If the study does not exist or has not been started.
    """
    for root in (folder / "results" / text, Path(text)):
        if root.is_dir() and any((root / name).exists() for name in ("study.json", "spec", "index", "search")):
            return root if root == Path(text) else Path("results") / text
    from voxnas.core.study_files import find_study

    _, name = find_study(folder, text)
    root = folder / "results" / name
    if not root.is_dir():
        raise UserError(f"study {name!r} has not been started ({root} does not exist)", f"start it: voxnas run {text}")
    return root
