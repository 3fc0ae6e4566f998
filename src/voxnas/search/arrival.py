"""`order: arrival`: a step is proposed at its start, from all results available then, which the proposal records.

A search keeps its steps in a log, ``search/<search>/arrivals/<identity>/``: ``proposals/<n>.json`` is the n-th
proposal, ``results/<step>.json`` the result of a step. ``steps/<k>/proposal.json`` and ``result.json`` are copies.
``curves/<digest of the result>.tsv`` is the curve of the training of a result, for strategies that read it. Entries
are only added to the log, each as a whole, by a hard link that fails if the name is taken. This has three
consequences:

- **Steps do not collide.** Proposal n is made from all proposals 0 .. n-1. If two jobs make proposal n at the same
  time, one obtains the name; the other reads this proposal and proposes again. Therefore no network is tried twice and
  no trial is continued twice.
- **Nothing blocks.** A killed job leaves no lock. A job killed before its link leaves nothing; a job killed later finds
  its proposal when it is run again, whatever results have arrived since.
- **Every proposal can be reproduced** from the recorded results (``voxnas replay``).

The identity is a digest of all inputs of the search and its trainings. Another spec or other data begin a new log, and
the previous settings find the previous log.
"""

import os
import socket
import time
from pathlib import Path

from voxnas.complexity.placement import Worker
from voxnas.core.canonical import digest
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.record import Record
from voxnas.core.trial import Known, Proposal, Result
from voxnas.data.digest import data_digest
from voxnas.io.records import read_json, read_record, write_json, write_text
from voxnas.search.chain import Chain, read_curve
from voxnas.search.propose import Search

POLL_SECONDS = 0.2
DIGITS = 12


class Arrivals:
    """The log of one search in order of arrival.

    Parameters
    ----------
    paths : StudyPaths
        The study, with its specs, plan, splits and index.
    search : str
        Name of the search.

    Raises
    ------
    UserError
        If one of these files is missing or damaged.
    """

    def __init__(self, paths: StudyPaths, search: str) -> None:
        self.paths = paths
        self.search = search
        self.inputs = Search.read(paths, search)
        times = self.inputs.calibration.plain() if self.inputs.calibration else None
        specs = [read_json(paths.spec(stage)) for stage in (f"search-{search}", "train")]
        identity = digest([*specs, data_digest(paths), times], DIGITS)
        self.folder = paths.arrivals(search) / identity
        self._proposals: list[Proposal] = []

    def proposals(self) -> list[Proposal]:
        """Return all proposals in the order in which they were made."""
        while (file := self._proposal_file(len(self._proposals))).exists():
            self._proposals.append(read_record(file, Proposal))
        return list(self._proposals)

    def result(self, step: int) -> Result | None:
        """Return the result of a step; None while it is pending."""
        file = self._result_file(step)
        return read_record(file, Result) if file.exists() else None

    def propose(self, step: int, worker: Worker | None = None) -> Proposal:
        """Return the recorded proposal of a step, or make one from all present results and record it.

        Parameters
        ----------
        step : int
            Number of the step.
        worker : Worker or None
            Free node; None: any.
        """
        while True:
            proposals = self.proposals()
            for proposal in proposals:
                if proposal.step == step:
                    return proposal
            results = {p.step: result for p in proposals if (result := self.result(p.step)) is not None}
            proposal = self.make(proposals, results, step, worker)
            file = self._proposal_file(len(proposals))
            if _add(file, proposal):
                return proposal
            _wait_for(file)

    def make(
        self, proposals: list[Proposal], results: dict[int, Result], step: int, worker: Worker | None = None
    ) -> Proposal:
        """Propose a step from the proposals that were made before it and some of their results."""
        finished = sorted((p for p in proposals if p.step in results), key=lambda p: p.step)
        pending = sorted((p for p in proposals if p.step not in results), key=lambda p: p.step)
        chain = Chain(
            (*finished, *pending),
            tuple(results[p.step] for p in finished),
            lambda finished_step: read_curve(self._curve_file(results[finished_step])),
        )
        known = Known(
            order=len(proposals),
            results={p.step: record_digest(results[p.step]) for p in finished},
            pending={p.step: record_digest(p) for p in pending},
            kind=worker.kind if worker else "",
            seconds=worker.seconds if worker else None,
            calibration=worker.digest if worker else "",
        )
        proposal = self.inputs.propose(chain, step, worker)
        # A promotion is a copy of the proposal that it continues, with another record of results.
        return proposal.model_copy(update={"known": known})

    def finish(self, step: int, result: Result) -> Result:
        """Record the result and the curve of a step; return the result recorded first."""
        curve = self.paths.step(self.search, step) / "curve.tsv"
        if curve.exists():
            _add(self._curve_file(result), curve.read_text(encoding="utf-8"))
        file = self._result_file(step)
        if _add(file, result):
            return result
        _wait_for(file)
        return read_record(file, Result)

    def _proposal_file(self, order: int) -> Path:
        return self.folder / "proposals" / f"{order}.json"

    def _curve_file(self, result: Result) -> Path:
        return self.folder / "curves" / f"{record_digest(result)}.tsv"

    def _result_file(self, step: int) -> Path:
        return self.folder / "results" / f"{step}.json"


def record_digest(record: Record) -> str:
    """Return the digest of a record's content."""
    return digest(record.plain(), DIGITS)


def _add(file: Path, content: Record | str) -> bool:
    """Add a file atomically, also on NFS, unless its name is taken; return whether it was added."""
    temporary = file.with_name(f".{file.name}.{socket.gethostname()}.{os.getpid()}")
    if isinstance(content, str):
        write_text(temporary, content)
    else:
        write_json(temporary, content)
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    except OSError as error:
        raise UserError(
            f"{file}: {error.strerror}", "order: arrival needs hard links; move results/ or use search.order: strict"
        ) from None
    finally:
        # On NFS the reply to a link may be lost and its repetition fails; then the link count shows the success.
        added = temporary.stat().st_nlink == 2
        temporary.unlink()
    return added


def _wait_for(file: Path) -> None:
    """Wait until a file of another host is visible; listing the folder refreshes the cache of NFS."""
    while file.name not in os.listdir(file.parent):
        time.sleep(POLL_SECONDS)
