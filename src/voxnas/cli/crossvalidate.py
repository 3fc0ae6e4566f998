"""``voxnas crossvalidate``: score networks on the folds, each fold by the training that left it out."""

import argparse

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument(
        "--key", help="key of one network, whose cases are scored; default: write the table of all networks"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="with --key: number of trainings of the network")
    parser.add_argument("--output", required=True, metavar="FILE", help="table to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the scores of the cases of one network, or the table of all networks."""
    from voxnas.io.tables import write_table

    paths = arguments.study
    if arguments.key:
        from voxnas.benchmark.evaluate import predict_folds

        write_table(arguments.output, predict_folds(paths, arguments.key, arguments.seeds))
    else:
        from voxnas.benchmark.cross_validation import cross_validation

        write_table(arguments.output, cross_validation(paths))
