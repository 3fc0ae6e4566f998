"""The ``voxnas`` command: one verb a module, imported only when it is called.

A verb module has ``add_arguments(parser)``
and ``run(arguments) -> int | None``.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from voxnas import __version__
from voxnas.core.errors import USER_ERROR, UserError

# verb: help. The first group is for people, the second is what the workflow's rules call.
PEOPLE = {
    "validate": "check a data set: every scan, and what is wrong with it",
    "predict": "apply a model to new scans",
    "watch": "show what a study does: what runs, what is best, what failed, what is left",
    "resume": "go on with a study whose Snakemake was killed",
    "replay": "make a search's proposals again from its files, and say whether they agree",
    "collect": "one table of all studies",
    "settings": "check a study file, or regenerate config.yaml, the schema and the key table",
}
RULES = {
    "phantom": "generate the embedded data set",
    "index": "index the scans of a data set",
    "plan": "choose spacing and patch from the data's fingerprint",
    "spatial": "put one shard of raw runs through the spatial steps",
    "preprocess": "preprocess one shard of scans",
    "split": "split participants into test and folds",
    "calibrate": "measure training and inference times on this device",
    "device": "measure this node as one of its kind, for placement",
    "propose": "write the next proposal of a search",
    "train": "train one seed of a network at full budget",
    "step": "train one step of a search",
    "discover": "run a search that is a single job",
    "summarize": "write the table of a search's trials",
    "select": "choose the finalists",
    "network": "write the record of one finalist",
    "trainings": "write the table of all trainings at full budget",
    "profile": "measure a network's latency and memory",
    "evaluate": "score a network on the locked test split",
    "crossvalidate": "score networks outside the test split, each fold by the training that left it out",
    "benchmark": "write the leaderboard and the paired comparisons",
    "figures": "draw the figures",
    "package": "write the model folder",
    "report": "write report.html",
    "publish": "copy the small tables and figures of a study, with their provenance",
}


def build_parser(verb: str | None) -> argparse.ArgumentParser:
    """The parser; only the module of the given verb is imported."""
    parser = argparse.ArgumentParser(
        prog="voxnas",
        description="Small, fast, accurate networks for brain images, found and proven.",
        epilog="The workflow's own verbs: " + ", ".join(RULES) + ". 'voxnas VERB --help' explains each.",
    )
    parser.add_argument("--log", metavar="FILE", help="write all output there; errors are shown as well")
    parser.add_argument("--version", action="version", version=f"voxnas {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, text in {**PEOPLE, **RULES}.items():
        shown: dict[str, Any] = {"help": text} if name in PEOPLE else {}
        sub = verbs.add_parser(name, description=text[0].upper() + text[1:] + ".", **shown)
        if name == verb:
            import_module(f"voxnas.cli.{name}").add_arguments(sub)
    return parser


def add_study(parser: argparse.ArgumentParser) -> None:
    """The argument of verbs that take a study as the user calls it."""
    parser.add_argument(
        "study", metavar="STUDY", help="study file (config/studies/NAME.yaml) or name of the study; 'phantom': default"
    )


def _redirect(path: str) -> TextIO:
    """Send this process's output, and its children's, to a file; return the former stderr."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(2), "w")
    with open(path, "w") as file:
        sys.stdout.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return terminal


def main(argv: list[str] | None = None) -> int:
    """Run one verb. Returns the exit status; a UserError is one line on stderr and status 2."""
    argv = sys.argv[1:] if argv is None else argv
    verb = next((a for a in argv if a in PEOPLE or a in RULES), None)
    arguments = build_parser(verb).parse_args(argv)
    terminal = _redirect(arguments.log) if arguments.log else None
    try:
        return import_module(f"voxnas.cli.{arguments.verb}").run(arguments) or 0
    except UserError as error:
        for stream in filter(None, (sys.stderr, terminal)):
            print(f"voxnas {arguments.verb}: {error}", file=stream, flush=True)
        return USER_ERROR
    except Exception:
        if terminal:
            traceback.print_exc(file=terminal)
        raise
