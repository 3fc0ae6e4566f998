"""Networks derived from the winner: the same architecture and recipe, trained on all scans outside the test split.

The winner is known from the validation scores alone, before the test split is read. A derived network has no validation
score, so that it takes part in no choice.
"""

from voxnas.arch.families import family_of
from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import choose_winner, validation_scores, winning_network
from voxnas.core.architecture import network_key
from voxnas.core.errors import UserError
from voxnas.core.measures import ranking_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import DeriveSpec
from voxnas.core.training import Derivation, Teacher
from voxnas.core.trial import REFIT, STUDENT, Network

DIVERSE = 3  # networks that teach together


def derive_networks(paths: StudyPaths, spec: DeriveSpec) -> list[Network]:
    """Derive the refitted winner and its student.

    Parameters
    ----------
    paths : StudyPaths
        A study with all trainings of its finalists and hand-made networks.
    spec : DeriveSpec

    Returns
    -------
    list of Network
        With a multiple of the winner's samples; their names are the winner's with ``-refit`` and ``-student``.

    Raises
    ------
    UserError
        If the winner is fitted and not trained.
    """
    found = results.finalists(paths)
    winner, scores = winner_by_validation(paths, found)
    if family_of(winner.architecture).fitted:
        raise UserError(f"the winner, {winner.name}, has no trainings to repeat", "set final.refit: false")
    derivations = {}
    if spec.refit:
        derivations[REFIT] = Derivation(refit=True)
    if spec.teacher != "none":
        sources = _diverse(found, winner, scores) if spec.teacher == "diverse" else [winner]
        keys = tuple(dict.fromkeys(n.key for n in sources))
        teacher = Teacher(sources=keys, temperature=spec.temperature, weight=spec.weight, out_of_fold=True)
        derivations[STUDENT] = Derivation(teacher=teacher, refit=True)
    samples = round(winner.samples * spec.longer)
    return [derived(winner, source, derivation=d, samples=samples) for source, d in derivations.items()]


def derived(winner: Network, source: str, suffix: str = "", **fields: object) -> Network:
    """The record of the `winner` with other `fields`, named after it and its `source`, with the key that they give."""
    network = winner.model_copy(update={"source": source, "name": f"{winner.name}-{source}{suffix}", **fields})
    return network.model_copy(update={"key": network_key(network.architecture, network.recipe, network.derivation)})


def shipped_network(paths: StudyPaths) -> Network:
    """Network of a study for use on new scans: the student, else the refitted winner, else the winner.

    The settings determine the choice; no test score does.
    """
    found = {network.source: network for network in results.networks(paths)}
    return found.get(STUDENT) or found.get(REFIT) or winning_network(paths)


def winner_by_validation(paths: StudyPaths, found: list[Network]) -> tuple[Network, dict[str, float]]:
    """Choose the winner among the networks `found`; return it with the score of each, the larger the better."""
    measure = ranking_measure(results.benchmark_spec(paths))
    scores = {n.name: measure.sign * float(validation_scores(paths, n, measure).mean()) for n in found}
    return choose_winner(found, scores, 1), scores


def _diverse(found: list[Network], winner: Network, scores: dict[str, float]) -> list[Network]:
    """The winner, and the best trained networks of other sources."""
    best = {winner.source: winner}
    for network in sorted(found, key=lambda n: -scores[n.name]):
        if not family_of(network.architecture).fitted:
            best.setdefault(network.source, network)
    return list(best.values())[:DIVERSE]
