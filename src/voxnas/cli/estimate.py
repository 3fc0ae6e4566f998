"""``voxnas estimate``: print the expected trainings, time, memory and disk space of a study before it runs."""

import argparse
from pathlib import Path

from voxnas.core.errors import UserError

EXAMPLE = "example: voxnas estimate hippocampus --workers 16"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from voxnas.cli.main import add_study

    parser.epilog = EXAMPLE
    add_study(parser)
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="trainings that run at once; default: the cores of this machine by training.threads",
    )


def run(arguments: argparse.Namespace) -> None:
    """Estimate and print."""
    import os

    from voxnas.core.paths import StudyPaths
    from voxnas.core.project import project_folder
    from voxnas.core.settings import parse_settings
    from voxnas.core.study_files import find_study, read_study_file
    from voxnas.operate.estimate import estimate

    if arguments.workers is not None and arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers} is below 1", "give the number of trainings that run at once")
    file, name = find_study(Path.cwd(), arguments.study)
    settings = parse_settings({} if file is None else read_study_file(file), str(file or "the default study"))
    found = estimate(settings, StudyPaths(Path("results") / name), project_folder() / "config" / "search_spaces")
    workers = arguments.workers or max(1, (os.cpu_count() or 1) // settings.training.threads)

    print(f"{name}, on {workers} worker{'s' if workers > 1 else ''}:\n")
    print(f"{'':24}{'trainings':>10}{found.unit + '-hours':>14}{'wall hours':>14}")
    for stage in found.stages:
        hours, wall = (_number(value) for value in (stage.hours, stage.wall_hours(workers)))
        print(f"{stage.name:24}{stage.trainings or 0:>10,}{hours:>14}{wall:>14}")
    totals = [[stage.hours for stage in found.stages], [stage.wall_hours(workers) for stage in found.stages]]
    hours, wall = (_number(None if None in values else sum(v or 0.0 for v in values)) for values in totals)
    print(f"{'total':24}{sum(stage.trainings or 0 for stage in found.stages):>10,}{hours:>14}{wall:>14}\n")
    if found.memory_mib is None:
        print("memory: unknown")
    else:
        usual, largest = found.memory_mib
        print(f"memory of a training: {usual:,.0f} MiB, at most {largest:,.0f} MiB; all workers: "
              f"{workers * largest:,.0f} MiB")  # fmt: skip
    arrays = "not preprocessed yet" if found.arrays_mib is None else f"{found.arrays_mib:,.0f} MiB"
    trained = "unknown" if found.disk_mib is None else f"at most {found.disk_mib:,.0f} MiB"
    print(f"disk: networks and their states {trained}; arrays {arrays}")
    for note in found.notes:
        print(f"- {note}")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
