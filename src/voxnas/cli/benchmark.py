"""``voxnas benchmark``: write the leaderboard and the paired comparisons of a study."""

import argparse

from voxnas.core.paths import StudyPaths

DECIMALS = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--output", required=True, metavar="FILE", help="leaderboard to write (TSV)")
    parser.add_argument("--comparisons", required=True, metavar="FILE", help="paired comparisons to write (TSV)")


def run(arguments: argparse.Namespace) -> None:
    """Compute and write both tables."""
    from voxnas.benchmark.chance import with_chance
    from voxnas.benchmark.costs import cost_ratios
    from voxnas.benchmark.leaderboard import benchmark
    from voxnas.io.tables import write_table
    from voxnas.report.sentence import cost_sentences

    leaderboard, comparisons = benchmark(arguments.study)
    leaderboard = with_chance(arguments.study, leaderboard)
    write_table(arguments.output, leaderboard.round(DECIMALS))
    write_table(arguments.comparisons, comparisons.round(DECIMALS))
    print(leaderboard[["rank", "name", "winner", "test_score", "low", "high"]].to_string(index=False))
    for line in cost_sentences(cost_ratios(leaderboard)):
        print(line)
