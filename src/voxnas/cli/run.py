"""``voxnas run``: run a study, by default the study of generated data, and show its progress.

Snakemake runs inside, and its output goes to results/STUDY/logs/snakemake.log. A terminal shows one screen, another
output one line for each stage and each tenth of the trainings. Ctrl-C interrupts Snakemake; the same command continues.
The exit status is that of Snakemake, 2 for bad input and 130 after Ctrl-C.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from voxnas.operate.progress import Watcher
    from voxnas.operate.snakemake_run import SnakemakeRun

EXAMPLE = "examples: voxnas run; voxnas run hippocampus --config data_root=PATH --cores 2"
EVERY = 2.0  # seconds between looks at the study
DRY = {"-n", "--dry-run", "--dryrun"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from voxnas.cli.main import add_study

    parser.epilog, parser.usage = EXAMPLE, "%(prog)s [-h] [STUDY] ..."
    add_study(parser)
    parser.add_argument(
        "snakemake",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="arguments for Snakemake: --cores N (default: all, or as the profile states), --profile P, "
        "--config KEY=VALUE .., --until STAGE, and all others",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the study, and print its result or what stopped it."""
    from importlib.util import find_spec

    from rich.console import Console

    from voxnas.core.errors import USER_ERROR, UserError
    from voxnas.core.study_files import find_study
    from voxnas.operate import resume
    from voxnas.operate.progress import Watcher
    from voxnas.operate.snakemake_run import running_snakemake

    folder = Path.cwd()
    file, name = find_study(folder, arguments.study)
    extra = [argument for argument in arguments.snakemake if argument != "--"]
    if find_spec("snakemake") is None:
        raise UserError("Snakemake is not installed", "pip install 'voxnas[workflow]'")
    resume.check_no_snakemake(folder)
    if resume.is_locked(folder):
        raise UserError("a former run was killed and left its lock", f"continue it: voxnas resume {arguments.study}")
    study = Path("results") / name
    command = resume.snakemake_command(sys.executable, file, "", extra)
    if DRY & set(extra):
        import subprocess

        return subprocess.call(command)
    watcher, console = Watcher(study), Console(highlight=False)
    with running_snakemake(command, study / "logs" / "snakemake.log") as process:
        status = _follow(process, watcher, console)
    if process.received:
        print("Interrupted. Finished jobs are kept, and trainings continue from their saved state:")
        print(f"  voxnas {shlex.join(sys.argv[1:])}")
        return 128 + process.received[0]
    if status == 0:
        _print_end(study, watcher, console)
        return 0
    if status == USER_ERROR and (refusal := process.refusal()):
        raise UserError(refusal)
    _print_failures(process, watcher)
    return status


def _follow(process: "SnakemakeRun", watcher: "Watcher", console: "Console") -> int:
    """Show the progress until Snakemake ends; return its exit status."""
    from rich.live import Live

    from voxnas.operate.milestones import Milestones
    from voxnas.operate.terminal import draw

    if console.is_terminal and not console.is_dumb_terminal:
        # The alternate screen does not scroll and leaves no trace; what remains is printed at the end.
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(draw(watcher.look(), EVERY), refresh=True)
                if (status := process.wait(EVERY)) is not None:
                    return status
    milestones = Milestones(process.began)
    while True:
        status = process.wait(EVERY)
        for line in milestones.lines(watcher.look()):
            print(line, flush=True)
        if status is not None:
            return status


def _print_end(study: Path, watcher: "Watcher", console: "Console") -> None:
    """Print the result of a finished study; the completed stages if only some were asked for."""
    from rich.table import Table

    from voxnas.core.paths import StudyPaths
    from voxnas.report.summary import summary

    snapshot = watcher.look()
    done = [stage.name for stage in snapshot.stages if stage.state == "done"]
    if len(done) < len(snapshot.stages):
        print(f"Done: {', '.join(done) or 'what was asked for'}")
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in summary(StudyPaths(study)):
        if console.is_terminal:
            table.add_row(title, text)
        else:
            print(f"{title}: {text}")
    console.print(table, end="")


def _print_failures(process: "SnakemakeRun", watcher: "Watcher") -> None:
    """Print the failed jobs with their reasons on stderr; without one the last lines of Snakemake."""
    from voxnas.operate.milestones import failures_since

    failures = failures_since(watcher.look(), process.began)
    for failure in failures:
        print(f"voxnas run: job {failure.name} failed: {failure.reason} ({failure.log})", file=sys.stderr)
    if not failures:
        print("voxnas run: Snakemake failed:", *process.last_lines(), sep="\n  ", file=sys.stderr)
    print(f"Output of Snakemake: {process.log}", file=sys.stderr)
