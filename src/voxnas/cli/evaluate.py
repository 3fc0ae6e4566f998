"""``voxnas evaluate``: score a model on a labelled data set, or in the workflow a network on the locked test split."""

import argparse
import sys
from pathlib import Path

from voxnas.cli.predict import add_prediction_options

TABLES = ("cases", "participants", "scores", "excluded")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", metavar="DIR", help="model folder, results/<study>/model; needs --data")
    source.add_argument("--study", metavar="DIR", help="results/<study>; needs --key and --seeds")
    parser.add_argument("--data", type=Path, metavar="PATH", help="labelled data set, of any layout")
    parser.add_argument("--target", help="target of the data set (default: as in the study)")
    parser.add_argument("--participant", metavar="PATTERN", help="pattern of the participant (data.participant)")
    parser.add_argument("--derivatives", metavar="NAME", help="BIDS: folder under derivatives/ with the label maps")
    add_prediction_options(parser)
    parser.add_argument("--key", help="key of the network")
    parser.add_argument("--seeds", type=int, metavar="N", help="number of trainings of the network")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("evaluation"),
        metavar="PATH",
        help="folder to write (default: evaluation); with --study the table of cases",
    )


def run(arguments: argparse.Namespace) -> int | None:
    """Evaluate and write the tables."""
    from voxnas.core.errors import UserError
    from voxnas.io.tables import write_table

    if arguments.model:
        if arguments.data is None:
            raise UserError("--model needs --data", "name the folder of a labelled data set")
        return _evaluate_model(arguments)
    from voxnas.benchmark.evaluate import evaluate_network
    from voxnas.core.paths import StudyPaths

    if not arguments.key or not arguments.seeds:
        raise UserError("--study needs --key and --seeds", "to score a packaged model, use --model and --data")
    write_table(arguments.output, evaluate_network(StudyPaths(arguments.study), arguments.key, arguments.seeds))
    return None


def _evaluate_model(arguments: argparse.Namespace) -> int:
    """Write cases.tsv, participants.tsv, scores.tsv and excluded.tsv; status 1 if scans were excluded."""
    from voxnas.benchmark.evaluate_model import evaluate_model
    from voxnas.io.replace import prepare_output
    from voxnas.io.tables import table_rows, write_table

    given = {name: getattr(arguments, name) for name in ("target", "participant", "derivatives")}
    changes = {name: value for name, value in given.items() if value is not None}
    prepare_output(arguments.output, [f"{name}.tsv" for name in TABLES], arguments.overwrite)
    data = arguments.data.expanduser().absolute()
    found = evaluate_model(arguments.model, data, arguments.ensemble, arguments.mirror, changes)
    for name in TABLES:
        write_table(arguments.output / f"{name}.tsv", getattr(found, name))
    for row in table_rows(found.excluded):
        print(f"excluded {row.scan}: {row.reason}", file=sys.stderr)
    for row in table_rows(found.scores):
        bounds = f"({row.note})" if row.low != row.low else f"[{row.low:.4g}, {row.high:.4g}]"
        print(f"{row.measure} over {row.number} {row.over}: {row.estimate:.4g} {bounds}")
    if not found.identified:
        print("participants are unknown: every scan counts as one", file=sys.stderr)
    if seen := int((found.cases["seen"] == "yes").sum()):
        print(
            f"voxnas evaluate: warning: {seen} of {len(found.cases)} cases are of participants whose images the study "
            "of this model trained or selected on (column seen)",
            file=sys.stderr,
        )
    print(f"wrote {arguments.output}: {', '.join(f'{name}.tsv' for name in TABLES)}")
    return 1 if len(found.excluded) else 0
