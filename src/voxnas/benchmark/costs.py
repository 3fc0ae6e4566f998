"""Measured cost of searched and of hand-made networks, and what the results of a study rest on."""

from typing import Any, NamedTuple

import pandas as pd

from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import is_searched, without_ensembles
from voxnas.benchmark.search_runs import runs_of_methods
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import LINEAR
from voxnas.io.records import read_json


class CostRatio(NamedTuple):
    """Mean measured CPU seconds of searched and of hand-made networks; NaN if a time is unknown or there is none.

    ``search`` compares whole searches (of a method, and of the recipes of a hand-made network), ``training`` the final
    trainings of one network.
    """

    what: str
    searched: float
    hand_made: float

    @property
    def ratio(self) -> float:
        """Searched relative to hand-made."""
        return self.searched / self.hand_made if self.hand_made else float("nan")


def cost_ratios(board: pd.DataFrame) -> list[CostRatio]:
    """Compare the measured costs of searched and hand-made networks.

    Parameters
    ----------
    board : DataFrame
        The leaderboard.
    """
    single = without_ensembles(board[board.source != LINEAR])
    hand_made = single.source.str.startswith("baseline")
    searched = single.source.map(is_searched).astype(bool)
    ratios = []
    for what, column, unit in (
        ("search", "search_seconds_measured", "source"),
        ("training", "train_seconds_measured", "key"),
    ):
        sides = [single[side].drop_duplicates(unit)[column] for side in (searched, hand_made)]
        if all(len(side) for side in sides) and (what == "training" or sides[1].fillna(1).gt(0).any()):
            ratios.append(CostRatio(what, *(float(side.mean(skipna=False)) for side in sides)))
    return ratios


def basis(paths: StudyPaths) -> dict[str, Any]:
    """What the results of a study rest on.

    Returns
    -------
    dict
        ``processors`` of the final trainings; ``samples``, the budget of each network by name; ``seeds`` per network;
        ``search_runs``, the number of independent runs of each search method.
    """
    found = results.networks(paths)
    seeds = results.benchmark_spec(paths).seeds
    files = [paths.seed(n.key, seed) / "run.json" for n in found for seed in range(seeds)]
    processors = {str(read_json(file).get("device", "unknown")) for file in files if file.is_file()}
    return {
        "processors": sorted(processors),
        "samples": {n.name: n.samples for n in found if n.source != LINEAR},
        "seeds": seeds,
        "search_runs": runs_of_methods(pd.DataFrame({"source": [n.source for n in found]})),
    }
