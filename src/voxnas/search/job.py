"""A search that is a single job: its networks are written as the steps of a finished chain."""

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import write_json, write_text
from voxnas.search.base import Job, Trainer
from voxnas.search.chain import Chain
from voxnas.search.propose import Search


def run_job(paths: StudyPaths, search: str, trainer: Trainer) -> int:
    """Run a search of the kind ``job`` and write its proposals and results.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    search : str
        Name of the search.
    trainer : Trainer

    Returns
    -------
    int
        Number of networks found.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the search finds no network.
    """
    inputs = Search.read(paths, search)
    state, method = inputs.state(Chain((), ()), 0), inputs.spec.method
    job = inputs.spec.search.strategy(method)
    assert isinstance(job, Job)
    findings = list(job(state, paths, trainer))
    if not findings:
        raise UserError(f"search {search!r} has found no network", "change search.options, or loosen search.limits")
    for step, finding in enumerate(findings):
        candidate, cost = finding.candidate, state.feasible.cost(finding.candidate.architecture)
        proposal = Proposal(
            search=search,
            step=step,
            trial=f"{search}-{step}",
            origin=method,
            note=finding.note,
            config=candidate.config,
            architecture=candidate.architecture,
            recipe=candidate.recipe,
            samples=finding.samples,
        )
        result = Result(
            state="FAILED" if finding.failure else "DONE",
            reason=finding.failure,
            key=candidate.key,
            score=finding.score,
            metrics=dict(finding.metrics),
            samples=finding.samples,
            parameters=cost.parameters,
            macs=cost.macs,
            cpu_seconds=finding.cpu_seconds,
        )
        for name, text in finding.files.items():
            write_text(paths.step(search, step) / name, text)
        write_json(paths.step(search, step) / "proposal.json", proposal)
        write_json(paths.step(search, step) / "result.json", result)
    return len(findings)
