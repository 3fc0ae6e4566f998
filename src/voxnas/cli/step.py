"""``voxnas step``: train one step of a search; with ``--order arrival``, make its proposal first.

A step that runs again after a kill uses its recorded proposal. A step whose result is recorded writes this result
again. The exit statuses are those of ``voxnas train``.
"""

import argparse

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    from voxnas.cli.train import add_runtime_arguments

    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--search", required=True, metavar="NAME", help="name of the search, such as bayesian")
    parser.add_argument("--step", type=int, required=True, metavar="K", help="number of the step, from 0")
    parser.add_argument(
        "--order",
        choices=("strict", "arrival"),
        default="strict",
        help="strict: the proposal exists; arrival: make the proposal now",
    )
    add_runtime_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train the step; see the module's docstring."""
    from voxnas.cli.train import train_proposal, write_files
    from voxnas.core.trial import Proposal, Result
    from voxnas.io.records import read_record, write_json
    from voxnas.operate.placement import worker_of
    from voxnas.search.arrival import Arrivals

    paths = arguments.study
    file = paths.step(arguments.search, arguments.step) / "proposal.json"
    if arguments.order == "strict":
        return train_proposal(arguments, read_record(file, Proposal))
    log = Arrivals(paths, arguments.search)
    proposal = log.propose(arguments.step, worker_of(paths, *arguments.kind))
    write_json(file, proposal)
    what = "idle, the search space is exhausted" if proposal.idle else f"{proposal.origin} {proposal.key}"
    print(f"{arguments.search} step {arguments.step}: {what}", flush=True)
    recorded = log.result(arguments.step)
    if recorded is not None and not recorded.store:
        # A failure without an entry in the store. Other proposals depend on it, so it is kept.
        write_files(arguments, recorded, None, True)
        return 0
    status = train_proposal(arguments, proposal, {p.step: p for p in log.proposals()})
    if status == 0:
        found = read_record(arguments.output, Result)
        first = log.finish(arguments.step, found)
        if first != found:
            print("the repeated training gave a different result; the first is kept, since proposals depend on it")
            write_json(arguments.output, first)
    return status
