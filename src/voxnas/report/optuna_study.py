"""Searches as Optuna studies, in a journal file that Optuna and its dashboard open."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxnas.arch.parameters import Parameter
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_json
from voxnas.io.replace import replacing
from voxnas.search.chain import finished_steps, read_chain, read_curve
from voxnas.search.propose import Search

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Steps = list[tuple[Proposal, Result]]


def write_optuna(paths: StudyPaths, searches: list[str], file: Path) -> None:
    """Write each search as a study of an Optuna journal file, named ``<study>/<search>``.

    The steps of one Voxnas trial are one Optuna trial. Its values are the validation score of its latest step
    (maximised) and the costs that are objectives (minimised). Its parameters are those of the search space; its user
    attributes are the network, the costs, the origin and the reason of a failure. With the score as the only
    objective, the learning curve gives the intermediate values, by samples seen. A STOPPED trial has a valid score
    and is COMPLETE. Pending and idle steps are omitted.

    Parameters
    ----------
    paths : StudyPaths
    searches : list of str
        Names of the searches.
    file : Path
        Journal file to write; an existing file is replaced.

    Raises
    ------
    UserError
        If Optuna is not installed, or a record of a search is missing or damaged.
    """
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
        from optuna.study import StudyDirection
    except ImportError:
        raise UserError("Optuna is not installed", "pip install 'voxnas[export]'") from None

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with replacing(file) as temporary:
        storage = JournalStorage(JournalFileBackend(str(temporary)))
        for name in searches:
            search = Search.read(paths, name)
            study = optuna.create_study(
                storage=storage,
                study_name=f"{paths.root.resolve().name}/{name}",
                directions=[StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * (len(search.objectives) - 1)],
            )
            study.set_user_attr("strategy", search.spec.method)
            study.add_trials([_trial(paths, search, steps) for steps in _trials(paths, name).values()])


def _trials(paths: StudyPaths, search: str) -> dict[str, Steps]:
    """Finished steps of each trial."""
    steps = finished_steps(paths, search)
    found: dict[str, Steps] = {}
    for proposal, result in read_chain(paths, search, steps, steps).finished():
        found.setdefault(proposal.trial, []).append((proposal, result))
    return found


def _trial(paths: StudyPaths, search: Search, steps: Steps) -> "FrozenTrial":
    from optuna.trial import TrialState, create_trial

    proposal, result = steps[-1]
    assert proposal.architecture is not None and proposal.recipe is not None  # it is not idle
    folders = [paths.step(proposal.search, p.step) for p, _ in steps]
    values = None
    if result.valid_score is not None:
        costs = [search.feasible[0].amount(proposal.architecture, name) for name in search.objectives[1:]]
        values = [result.valid_score, *costs]
    distributions = _distributions(search, proposal.config)
    trial = create_trial(
        state=TrialState.FAIL if values is None else TrialState.COMPLETE,
        values=values,
        params={name: proposal.config[name] for name in distributions},
        distributions=distributions,
        user_attrs={
            "trial": proposal.trial,
            "state": result.state,
            "reason": result.reason,
            "origin": proposal.origin,
            "network": proposal.key,
            "architecture": proposal.architecture.model_dump(mode="json"),
            "recipe": proposal.recipe.model_dump(mode="json"),
            "samples": result.samples,
            "parameters": result.parameters,
            "macs": result.macs,
            "metrics": result.metrics,
        },
        intermediate_values={} if len(search.objectives) > 1 else _curve(folders),
    )
    trial.datetime_start, trial.datetime_complete = _began(folders[0]), _ended(folders[-1])
    return trial


def _distributions(search: Search, config: Mapping[str, Any]) -> dict[str, "BaseDistribution"]:
    """Distributions of the parameters of a configuration."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def distribution(parameter: Parameter) -> "BaseDistribution":
        if parameter.choices:
            return CategoricalDistribution(parameter.choices)
        if parameter.integer:
            return IntDistribution(int(parameter.low), int(parameter.high), parameter.log)
        return FloatDistribution(parameter.low, parameter.high, parameter.log)

    parameters = search.feasible[0].space.parameters
    return {p.name: distribution(p) for p in parameters if p.name in config and p.contains(config[p.name])}


def _curve(folders: list[Path]) -> dict[int, float]:
    """Validation score by samples seen since the start of the trial."""
    files = [folder / "curve.tsv" for folder in folders]
    rows = [row for file in files if file.is_file() and file.stat().st_size for row in read_curve(file)]
    return {int(row["samples"]): row["val_score"] for row in rows if "val_score" in row}


def _ended(folder: Path) -> datetime:
    """Time of the result of a step; records hold no clock, and so this is the time of the file."""
    return datetime.fromtimestamp((folder / "result.json").stat().st_mtime)


def _began(folder: Path) -> datetime:
    run = read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
    return _ended(folder) - timedelta(seconds=float(run.get("wall_seconds", 0)))
