"""``voxnas package``: write the model folder of the winner, of the network derived from it, or of another network."""

import argparse
import math
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", required=True, metavar="DIR", help="results/<study>")
    parser.add_argument("--output", required=True, metavar="DIR", help="model folder to write")
    parser.add_argument("--network", metavar="NAME", help="name in the leaderboard, such as a pruned network")


def run(arguments: argparse.Namespace) -> None:
    """Write the model."""
    from voxnas.benchmark.derive import shipped_network
    from voxnas.benchmark.leaderboard import validation_scores
    from voxnas.benchmark.results import benchmark_spec, named_network
    from voxnas.core.errors import UserError
    from voxnas.core.measures import ranking_measure
    from voxnas.core.paths import StudyPaths
    from voxnas.deploy.package import write_model
    from voxnas.deploy.runtimes import exportable
    from voxnas.io.records import write_text
    from voxnas.io.replace import replacing_folder
    from voxnas.report.model_card import model_card

    paths = StudyPaths(arguments.study)
    network = named_network(paths, arguments.network) if arguments.network else shipped_network(paths)
    spec = benchmark_spec(paths)
    measure = ranking_measure(spec)
    scores = measure.sign * validation_scores(paths, network, measure)  # none of a refitted network
    default = max(range(spec.seeds), key=lambda seed: scores.get(seed, -math.inf))
    with replacing_folder(arguments.output, "model.json") as folder:
        model = write_model(paths, network, range(spec.seeds), default, folder)
        write_text(folder / "README.md", model_card(paths, model.plain()))
        if names := exportable():
            from voxnas.cli.export import export

            try:
                export(folder, names)
            except UserError as error:  # PyTorch still predicts
                print(f"voxnas package: warning: {model.name} was not exported: {error}", file=sys.stderr)
    print(f"wrote {arguments.output}; apply it: voxnas predict --model {arguments.output} --input SCANS --output OUT")
