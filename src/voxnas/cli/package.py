"""``voxnas package``: write the model folder of the winner."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", required=True, metavar="DIR", help="results/<study>")
    parser.add_argument("--output", required=True, metavar="DIR", help="model folder to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the model."""
    from voxnas.benchmark.leaderboard import winning_network
    from voxnas.benchmark.results import seed_results
    from voxnas.core.paths import StudyPaths
    from voxnas.deploy.package import write_model
    from voxnas.io.records import write_text
    from voxnas.report.model_card import model_card

    paths, output = StudyPaths(arguments.study), Path(arguments.output)
    network = winning_network(paths)
    model = write_model(paths, network, seed_results(paths, network.key), output)
    write_text(output / "README.md", model_card(paths, model))
    print(f"wrote {arguments.output}; apply it: voxnas predict --model {arguments.output} --input SCANS --output OUT")
