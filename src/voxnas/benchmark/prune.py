"""Structured pruning of the winner: narrower networks fine-tuned from its weights, beside controls.

The winner is known from the validation scores alone. The widths follow from the weights of all its seeds. The channels
that a training keeps follow from the weights of its own seed. Each pruned architecture is also trained from fresh
weights for as many multiply-adds as the training of the winner and the fine-tuning take together (Scratch-B of Liu et
al. 2019, ICLR, "Rethinking the value of network pruning").
"""

from collections.abc import Callable

import numpy as np

from voxnas.arch.families import expand, family_of
from voxnas.arch.families.graph import GraphNetwork
from voxnas.arch.graph import Graph
from voxnas.arch.views import input_size
from voxnas.benchmark import results
from voxnas.benchmark.derive import derived, winner_by_validation
from voxnas.complexity.analytic import analyze
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.core.settings import PruneSettings
from voxnas.core.spec import PruneSpec
from voxnas.core.training import Derivation, Teacher, Weights
from voxnas.core.trial import PRUNED, SCRATCH, Network
from voxnas.io.records import read_plan
from voxnas.io.weights import load_weights


def prune_networks(paths: StudyPaths, spec: PruneSpec) -> list[Network]:
    """Prune the winner to each level.

    Parameters
    ----------
    paths : StudyPaths
        A study with all trainings of its finalists and hand-made networks.
    spec : PruneSpec

    Returns
    -------
    list of Network
        For each level the pruned network, ``<winner>-pruned-<percent>``, and its control,
        ``<winner>-scratch-<percent>``.

    Raises
    ------
    UserError
        If the winner is fitted and not trained, or if no pruned network is small enough.
    """
    from voxnas.nn.pruning import narrow_to

    settings = spec.prune
    winner, _ = winner_by_validation(paths, results.finalists(paths))
    if family_of(winner.architecture).fitted:
        raise UserError(f"the winner, {winner.name}, has no weights to prune", "set compression.steps: []")
    plan, own = read_plan(paths.plan), winner.architecture
    graph = expand(own)

    def network_of(narrow: Graph) -> GraphNetwork:
        shape = {"in_channels": own.in_channels, "out_channels": own.out_channels, "view": own.view}
        return GraphNetwork(**shape, graph=narrow)

    def cost_of(name: str) -> Callable[[Graph], int]:
        return lambda narrow: getattr(analyze(network_of(narrow), input_size(network_of(narrow), plan)), name)

    cost, macs = cost_of(settings.cost), cost_of("macs")
    profiles = _profiles(paths, winner, graph, settings)
    found = []
    for level in settings.levels:
        narrow = narrow_to(graph, profiles, cost, level * cost(graph), settings.least)
        samples = max(1, round(winner.samples * settings.longer))
        same_macs = samples + round(winner.samples * macs(graph) / macs(narrow))
        found.append(_pruned(winner, network_of(narrow), level, samples, settings))
        if settings.scratch:
            found.append(derived(winner, SCRATCH, _percent(level), architecture=network_of(narrow), samples=same_macs))
    return found


def _profiles(paths: StudyPaths, winner: Network, graph: Graph, settings: PruneSettings) -> dict[str, np.ndarray]:
    """Importance of the channels of each group in ascending order, the mean over the seeds of the winner."""
    from voxnas.nn.pruning import channel_groups, channel_scores, random_scores

    groups = channel_groups(graph)
    seeds = sorted(s for s, result in results.seed_results(paths, winner.key).items() if result.valid_score is not None)
    found = []
    for seed in seeds:
        if settings.criterion == "random":
            scores = random_scores(groups, derive_seed(seed, "prune", winner.key))
        else:
            tensors, _ = load_weights(paths.seed(winner.key, seed) / "weights.safetensors")
            scores = channel_scores(graph, groups, tensors)
        found.append({owner: np.sort(values) for owner, values in scores.items()})
    return {owner: np.mean([scores[owner] for scores in found], axis=0) for owner in groups.groups}


def _pruned(
    winner: Network, architecture: GraphNetwork, level: float, samples: int, settings: PruneSettings
) -> Network:
    """Record of a pruned network, which starts from the weights of the winner."""
    taught = {"sources": (winner.key,), "temperature": settings.temperature, "weight": settings.teacher}
    return derived(
        winner,
        PRUNED,
        _percent(level),
        architecture=architecture,
        recipe=winner.recipe.model_copy(update={"learning_rate": winner.recipe.learning_rate * settings.learning_rate}),
        samples=samples,
        derivation=Derivation(
            start=Weights(source=winner.key, criterion=settings.criterion),
            teacher=Teacher(**taught) if settings.teacher else None,
        ),
    )


def _percent(level: float) -> str:
    return f"-{100 * level:g}"
