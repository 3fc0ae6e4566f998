"""Evolution: who is alive, who is a parent, and what a mutation of one level changes."""

import numpy as np
import pytest
from plans import limit, space_file, volume_plan

from voxnas.arch.search_space import SearchSpace
from voxnas.search.base import Observation, SearchState
from voxnas.search.feasible import FeasibleSpace
from voxnas.search.strategies.evolution import Evolution
from voxnas.search.strategies.hierarchical import Hierarchical

SPACE = FeasibleSpace(SearchSpace.from_dict(space_file("hierarchical-cnn")), volume_plan("classification"), limit(None))


def state(scores, **changes):
    rng = np.random.default_rng(0)
    history = [
        Observation(k, f"t{k}", SPACE.candidate(SPACE.space.sample(rng)), "", state="DONE", scores={"score": score})
        for k, score in enumerate(scores)
    ]
    return SearchState(SPACE, tuple(history), (), len(scores), 0, lambda candidate, share=1: 1)


def differing(a, b):
    return {name for name in a.keys() | b.keys() if a.get(name) != b.get(name)}


def parent_of(strategy, asked):
    """The trial to which the proposal is nearest, and the parameters in which they differ."""
    child = strategy(asked).candidate.config
    distances = [differing(child, o.candidate.config) for o in asked.history]
    return min(zip(map(len, distances), range(len(distances)), distances, strict=True))


@pytest.mark.parametrize(("population", "parent"), [(4, 5), (6, 0)])
def test_a_trial_dies_by_age_and_not_by_its_score(population, parent):
    asked = state([0.9, 0.1, 0.2, 0.3, 0.4, 0.5])
    changed, found, _ = parent_of(Evolution(population=population, tournament=population), asked)
    assert (found, changed <= 2) == (parent, True)


def test_the_first_population_is_random():
    assert Evolution(population=5)(state([0.1] * 4)).origin == "random"
    assert Evolution(population=5)(state([0.1] * 5)).origin == "mutation"


def test_a_hierarchical_mutation_changes_one_level_and_each_level_as_often():
    rng, config = np.random.default_rng(0), state([0.5]).history[0].candidate.config
    levels = [differing(config, SPACE.space.mutate_level(config, rng)) for _ in range(300)]
    kinds = [{name.split(".")[0].rstrip("0123456789") if "-" in name else "rest" for name in names} for names in levels]
    assert all(len(kind) == 1 for kind in kinds)
    shares = [sum(kind == {name} for kind in kinds) / 300 for name in ("motif", "cell", "rest")]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08)


def test_hierarchical_evolution_forgets_no_trial():
    asked = state([0.9, *[0.1] * 25])
    changed, found, names = parent_of(Hierarchical(initial=1, share=1.0), asked)
    assert (found, changed <= 2) == (0, True) and names
