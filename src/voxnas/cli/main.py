"""The ``voxnas`` command: one module per verb, imported only when the verb is called.

The module of a verb defines ``add_arguments(parser)`` and ``run(arguments) -> int | None``.
"""

import argparse
import errno
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from voxnas import __version__
from voxnas.core.errors import USER_ERROR, UserError

# Help text of each verb. Users call the verbs of the first group, the rules of the workflow those of the second.
PEOPLE = {
    "run": "run a study (default: phantom, on generated data) and show its progress, and at the end its result",
    "estimate": "print the expected time, memory and disk space of a study before it runs",
    "new": "write a commented study file for a data set",
    "validate": "check every scan of a data set and list the defects",
    "predict": "apply a model to new scans",
    "export": "write a study for Optuna, as CSV, Parquet or RO-Crate, or a model as ONNX and OpenVINO",
    "evaluate": "score a model on a labelled data set, per case and per participant",
    "watch": "show the progress of a study: running jobs, best networks, failures and remaining work",
    "resume": "continue a study after its Snakemake process was killed",
    "replay": "recompute the proposals of a search from its files and compare them with the recorded proposals",
    "collect": "join the leaderboards of all studies in one table",
    "settings": "validate a study file, or regenerate config.yaml, the schema and the key table",
}
RULES = {
    "phantom": "generate the synthetic data set",
    "index": "index the scans of a data set",
    "plan": "choose voxel size and patch from the fingerprint of the data set",
    "spatial": "apply the spatial preprocessing steps to one shard of raw runs",
    "preprocess": "preprocess one shard of scans",
    "exclude": "write the table of all exclusions, and stop a study without usable runs",
    "split": "split the participants into the locked test split and the folds",
    "calibrate": "measure training and inference times on this device",
    "device": "measure the speed of this kind of node, for the placement of trainings",
    "propose": "write the next proposal of a search",
    "train": "train one seed of a network with the full budget",
    "step": "train one step of a search",
    "discover": "run a search that is a single job",
    "summarize": "write the table of the trials of a search",
    "select": "choose the finalists",
    "network": "write the record of one finalist",
    "derive": "derive networks from the winner, to be trained on all scans outside the test split",
    "prune": "remove channels of the winner, for networks that are fine-tuned from its weights",
    "trainings": "write the table of all trainings with the full budget",
    "profile": "measure the latency and memory of a network",
    "crossvalidate": "score networks on the folds, each fold by the training that left it out",
    "benchmark": "write the leaderboard and the paired comparisons",
    "figures": "draw the figures",
    "package": "write the model folder of the winner",
    "report": "write the HTML report",
    "publish": "copy the tables and figures of a study, with their provenance",
}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def build_parser(verb: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command line; only the module of the given verb is imported."""
    parser = argparse.ArgumentParser(
        prog="voxnas",
        description="Neural architecture search for small, fast and accurate networks on 3D and 4D brain images.",
        epilog="Verbs called by the workflow: " + ", ".join(RULES) + ". 'voxnas VERB --help' explains each verb.",
    )
    parser.add_argument(
        "--log", metavar="FILE", help="write all output to this file; errors also appear on the terminal"
    )
    parser.add_argument("--version", action="version", version=f"voxnas {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, text in {**PEOPLE, **RULES}.items():
        shown: dict[str, Any] = {"help": text} if name in PEOPLE else {}
        sub = verbs.add_parser(name, description=text[0].upper() + text[1:] + ".", **shown)
        if name == verb:
            import_module(f"voxnas.cli.{name}").add_arguments(sub)
    return parser


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add the argument STUDY: a study by its name or file."""
    parser.add_argument(
        "study",
        metavar="STUDY",
        help="name of the study or study file (config/studies/NAME.yaml); 'phantom' is the default study",
    )


def with_default_study(argv: list[str]) -> list[str]:
    """Add the default study to ``voxnas run [OPTIONS]``; argparse takes options for Snakemake after STUDY only."""
    from voxnas.core.settings import StudySettings

    place = argv.index("run") + 1
    given = argv[place : place + 1]
    if given in (["-h"], ["--help"]) or (given and not given[0].startswith("-")):
        return argv
    return [*argv[:place], StudySettings().study, *argv[place:]]


def _redirect(path: str) -> TextIO:
    """Redirect the output of this process and its children to a file; return the former stderr."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(2), "w")
    with open(path, "w") as file:
        sys.stdout.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return terminal


def _end(verb: str, error: UserError, terminal: TextIO | None) -> int:
    """Print an error as one line, also on the terminal; return the exit status."""
    for stream in filter(None, (sys.stderr, terminal)):
        print(f"voxnas {verb}: {error}", file=stream, flush=True)
    return USER_ERROR


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return its exit status.

    A UserError, and an error of the system about a file or a full disk, are one line on stderr with status 2.
    """
    argv = sys.argv[1:] if argv is None else argv
    verb = next((a for a in argv if a in PEOPLE or a in RULES), None)
    if verb == "run":
        argv = with_default_study(argv)
    arguments = build_parser(verb).parse_args(argv)
    terminal = None
    try:
        terminal = _redirect(arguments.log) if arguments.log else None
        status = import_module(f"voxnas.cli.{arguments.verb}").run(arguments) or 0
        sys.stdout.flush()
        return status
    except UserError as error:
        return _end(arguments.verb, error, terminal)
    except BrokenPipeError:  # closed by the reader (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        if terminal:
            traceback.print_exc()
        where = error.filename2 or error.filename or "the output"
        return _end(arguments.verb, UserError(f"{where}: {error.strerror}"), terminal)
    except Exception:
        if terminal:
            traceback.print_exc(file=terminal)
        raise
