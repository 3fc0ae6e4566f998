"""`order: arrival`: a step is proposed when it starts, from every result that is there, and writes down from which.

A search remembers its steps in a log, ``search/<search>/arrivals/<identity>/``: ``proposals/<n>.json`` is the n-th
proposal that was made, ``results/<step>.json`` what a step found. ``steps/<k>/proposal.json`` and ``result.json`` are
copies. ``curves/<digest of the result>.tsv`` is the curve of the training behind a result, for strategies that read
it. Three things follow from the one rule that an entry of the log is only ever added, as a whole, by a hard link
that fails where the name is taken:

- **No two steps collide.** Proposal n is made from the proposals 0 .. n-1, all of them. Of two jobs that have made
  proposal n at the same time one gets the name; the other reads that proposal and proposes anew. So no network
  is tried and no trial continued twice.
- **Nothing blocks.** There is no lock that a killed job could leave. A job that was killed before its link left
  nothing; one that was killed later finds its proposal when it is run again, whatever has arrived since.
- **Any proposal can be made again** from what it says that it knew (``voxnas replay``).

The identity is that of everything on which the search and its trainings rest, so another spec or other data begin a
new log, and going back finds the old one.
"""

from __future__ import annotations

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
from voxnas.io.records import read_json, read_plan, read_record, write_json, write_text
from voxnas.search.chain import Chain, read_curve
from voxnas.search.propose import propose, study_calibration

POLL_SECONDS = 0.2
DIGITS = 12


class Arrivals:
    """The log of one search in order of arrival.

    Parameters
    ----------
    paths : StudyPaths
        The study; its specs, plan, splits and index have to be there.
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
        self.spec = read_json(paths.spec(f"search-{search}"))
        self.plan = read_plan(paths.plan)
        self.calibration = study_calibration(paths)
        times = self.calibration.plain() if self.calibration else None
        identity = digest([self.spec, read_json(paths.spec("train")), data_digest(paths), times], DIGITS)
        self.folder = paths.arrivals(search) / identity
        self._proposals: list[Proposal] = []

    def proposals(self) -> list[Proposal]:
        """All proposals so far, in the order in which they were made."""
        while (file := self._proposal_file(len(self._proposals))).exists():
            self._proposals.append(read_record(file, Proposal))
        return list(self._proposals)

    def result(self, step: int) -> Result | None:
        """What a step found; None while it is pending."""
        file = self._result_file(step)
        return read_record(file, Result) if file.exists() else None

    def propose(self, step: int, worker: Worker | None = None) -> Proposal:
        """The proposal of a step: the recorded one, or one from everything that is known now, which is recorded.

        Parameters
        ----------
        step : int
            Number of the step.
        worker : Worker or None
            Kind of node that is free; None: any.
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
        proposal = propose(self.spec, self.plan, self.calibration, chain, self.search, step, worker)
        # A promotion is a copy of the step that it continues, which knew something else.
        return proposal.model_copy(update={"known": known})

    def finish(self, step: int, result: Result) -> Result:
        """Record the result and the curve of a step; a result that is recorded already stands and is returned."""
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
    """Digest of a record's content."""
    return digest(record.plain(), DIGITS)


def _add(file: Path, content: Record | str) -> bool:
    """Add a file as a whole, unless its name is taken; atomic, on NFS too."""
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
        # Over NFS the answer to a link may be lost, and its repetition fails; the count of links tells.
        added = temporary.stat().st_nlink == 2
        temporary.unlink()
    return added


def _wait_for(file: Path) -> None:
    """Wait until a file that another host has made is to be seen here; listing the folder renews what NFS remembers."""
    while file.name not in os.listdir(file.parent):
        time.sleep(POLL_SECONDS)
