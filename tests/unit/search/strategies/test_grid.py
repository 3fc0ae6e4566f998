"""The order and the end of a grid."""

from plans import limit, space_file, volume_plan

from voxnas.arch.search_space import SearchSpace
from voxnas.search.base import Observation, SearchState
from voxnas.search.feasible import FeasibleSpace
from voxnas.search.strategies.grid import Grid


def space(**free):
    """The U-Net space in which the given parameters alone are free."""
    raw = space_file("unet")
    raw["parameters"] = {
        name: {"choices": entry["choices"][:1] if "choices" in entry else [entry["high"]]}
        for name, entry in raw["parameters"].items()
        if "when" not in entry
    } | {"learning_rate": 0.01} | free  # fmt: skip
    return FeasibleSpace(SearchSpace.from_dict(raw), volume_plan("segmentation"), limit(None))


def walk(feasible, steps, **options):
    configs = []
    for step in range(steps):
        history = [Observation(k, str(k), feasible.candidate(c), "grid") for k, c in enumerate(configs)]
        found = Grid(**options)(SearchState(feasible, tuple(history), (), step, 3, lambda candidate, share=1: 1))
        if found is None:
            break
        configs.append(found.candidate.config)
    return configs


def test_every_point_once_with_the_ends_of_a_range():
    feasible = space(base_width=[4, 8], weight_decay={"low": 0.0, "high": 0.1})
    configs = walk(feasible, 99, levels=3)
    points = sorted((c["base_width"], c["weight_decay"]) for c in configs)
    assert points == [(width, decay) for width in (4, 8) for decay in (0.0, 0.05, 0.1)]


def test_the_first_points_are_spread_over_all_axes():
    feasible = space(base_width=[4, 6, 8, 12], weight_decay={"low": 0.0, "high": 0.1}, averaging=[0.0, 0.2, 0.4])
    configs = walk(feasible, 12, levels=4)
    assert {name: len({c[name] for c in configs}) for name in ("base_width", "weight_decay", "averaging")} == {
        "base_width": 4, "weight_decay": 4, "averaging": 3,
    }  # fmt: skip
