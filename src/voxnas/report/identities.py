"""One colour and marker for each network and its search in all figures of a report."""

from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import ENSEMBLE_SUFFIX, winning_network
from voxnas.core.paths import StudyPaths
from voxnas.report.style import identity


class Identities:
    """Colour and marker by name of a network, of its ensemble, or of the search that found it.

    The winner is first, the others have the order of the selection, which no score of the test split changes.

    Parameters
    ----------
    paths : StudyPaths
        A benchmarked study.
    """

    def __init__(self, paths: StudyPaths) -> None:
        networks, winner = results.networks(paths), winning_network(paths)
        names = list(dict.fromkeys([winner.name, *(network.name for network in networks)]))
        self._positions = {name: position for position, name in enumerate(names)}
        for network in reversed(networks):  # of several finalists of a search, the first
            self._positions.setdefault(network.source, self._positions[network.name])
        for search in results.searches(paths):
            self._positions.setdefault(search, len(set(self._positions.values())))

    def __getitem__(self, name: str) -> tuple[str, str]:
        """Return colour and marker."""
        return identity(self._positions[name.removesuffix(ENSEMBLE_SUFFIX)])
