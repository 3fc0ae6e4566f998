"""Replay of a search: its proposals are made again from its files and compared with the recorded ones."""

from dataclasses import dataclass

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import SearchSpec
from voxnas.core.strategies import is_job
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_record
from voxnas.operate.placement import worker_of
from voxnas.search.arrival import Arrivals, record_digest
from voxnas.search.propose import make_proposal


@dataclass(frozen=True)
class Replay:
    """Comparison of the recorded proposals of one search with the replayed ones.

    Parameters
    ----------
    search : str
        Name of the search.
    order : str
        ``strict`` or ``arrival``.
    proposals : int
        Number of replayed proposals.
    differences : tuple of str
        One entry for each step whose proposals differ.
    """

    search: str
    order: str
    proposals: int
    differences: tuple[str, ...]

    def __str__(self) -> str:
        """Summarise the comparison in one line."""
        agree = self.proposals - len(self.differences)
        line = f"{self.search} ({self.order}): {agree} of {self.proposals} proposals agree"
        more = len(self.differences) - 1
        return line + (f"; {self.differences[0]}{f', and {more} more' if more else ''}" if self.differences else "")


def replay(paths: StudyPaths, search: str) -> Replay:
    """Replay a search.

    In strict order each proposal is made again from the steps before it; in order of arrival, from the results that it
    records.

    Raises
    ------
    UserError
        If the search does not exist, or a file that every proposal needs is missing.
    """
    spec = read_record(paths.spec(f"search-{search}"), SearchSpec)
    if spec.search.order == "arrival":
        return _arrival(paths, search)
    if is_job(spec.method):
        return Replay(search, "one job", 0, ())
    differences, step = [], 0
    while (file := paths.step(search, step) / "proposal.json").exists():
        try:
            if make_proposal(paths, search, step) != read_record(file, Proposal):
                differences.append(f"step {step} is another proposal now")
        except UserError as error:
            differences.append(f"step {step}: {error}")
        step += 1
    return Replay(search, "strict", step, tuple(differences))


def _arrival(paths: StudyPaths, search: str) -> Replay:
    log = Arrivals(paths, search)
    proposals = log.proposals()
    digests = [record_digest(p) for p in proposals]
    found = {p.step: result for p in proposals if (result := log.result(p.step)) is not None}
    results = {step: record_digest(result) for step, result in found.items()}
    differences = []
    for order, proposal in enumerate(proposals):
        why = _difference(log, proposals[:order], digests, found, results, proposal)
        if why:
            differences.append(f"step {proposal.step} {why}")
    return Replay(search, "arrival", len(proposals), tuple(differences))


def _difference(
    log: Arrivals,
    before: list[Proposal],
    digests: list[str],
    found: dict[int, Result],
    results: dict[int, str],
    proposal: Proposal,
) -> str:
    """Describe the difference between a recorded proposal and its replay; empty if there is none."""
    known = proposal.known
    if known is None:
        return "does not record the results from which it was made"
    earlier = {p.step: d for p, d in zip(before, digests, strict=False)}
    if known.pending.keys() | known.results.keys() != earlier.keys():
        return "was made from other proposals than the recorded ones"
    for step, digest in known.pending.items():
        if earlier[step] != digest:
            return f"was made while another proposal of step {step} was pending"
    for step, digest in known.results.items():
        if results.get(step) != digest:
            return f"was made from another result of step {step}"
    worker = worker_of(log.paths, known.kind, known.seconds)
    if worker is not None and worker.digest != known.calibration:
        return f"was made for the node kind {known.kind}, which has been measured again since"
    again = log.make(before, {step: found[step] for step in known.results}, proposal.step, worker)
    return "" if again == proposal else "is another proposal now"
