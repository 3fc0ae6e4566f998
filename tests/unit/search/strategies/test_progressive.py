"""Growth of cells by progressive search."""

import pytest
from plans import limit, space_file, volume_plan

from voxnas.arch.search_space import SearchSpace
from voxnas.search.base import Observation, SearchState
from voxnas.search.feasible import FeasibleSpace
from voxnas.search.strategies.progressive import Progressive


@pytest.mark.parametrize("family", ["cells-cnn", "hierarchical-cnn"])
def test_cells_grow_by_a_node_a_stage_from_the_best_of_the_stage_before(family):
    feasible = FeasibleSpace(SearchSpace.from_dict(space_file(family)), volume_plan("classification"), limit(None))
    space, history, origins = feasible.space, [], []
    assert space.stages() == 3 if family == "cells-cnn" else 2
    for step in range(2 * space.stages()):
        asked = SearchState(feasible, tuple(history), (), step, 0, lambda candidate, share=1: 1)
        found = Progressive(trials=2, beam=1)(asked)
        origins.append(found.origin)
        space.validate(found.candidate.config)
        assert space.stage(found.candidate.config) == step // 2
        scores = {"score": float(step % 2)}
        history.append(Observation(step, f"t{step}", found.candidate, "", state="DONE", scores=scores))
    assert origins[:3] == ["drawn", "drawn", "predictor"]
    parent, child = history[1].candidate.config, history[2].candidate.config
    added = {name for node in space.family.growth(space.structure)[:1] for name in node}
    assert all(child[name] == value for name, value in parent.items() if name not in added)
