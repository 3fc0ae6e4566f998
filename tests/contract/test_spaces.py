"""What every search space must keep: those of config/search_spaces, and those of other packages by entry point."""

import itertools
import json
import math

import numpy as np
import pytest
import yaml
from other_families import files_of_other_packages
from plans import SPACES, input_view, limit, run_plan, space_file, volume_plan

from voxnas.arch.baselines import BASELINES
from voxnas.arch.families import expand
from voxnas.arch.graph import graph_digest
from voxnas.arch.search_space import SearchSpace, family_spaces
from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.core.architecture import network_key, parse_architecture
from voxnas.core.canonical import digest
from voxnas.core.errors import UserError

FILES = {path.stem: path for path in sorted(SPACES.glob("*.yaml"))} | files_of_other_packages()
MACRO = ["cnn", "cnn-stages", "unet", "unet-stages"]
ROUNDS = 60


@pytest.fixture(params=FILES)
def raw(request):
    return yaml.safe_load(FILES[request.param].read_text())


@pytest.fixture
def space(raw):
    return SearchSpace.from_dict(raw)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def plan_for(space, side=32):
    """A plan of the space's first task with as many stages as its patch has."""
    task = space.family.tasks[0]
    matrix = space.family.views == ("connectivity",)
    if matrix:
        return run_plan({"connectivity": input_view((1, side, side), 2, stages=6)}, task)
    strides = [(1, 1, 1)] + [(2, 2, 2)] * 5
    return volume_plan(task, (side,) * 3, strides, kernels=[(1, 3, 3)] + [(3, 3, 3)] * 5, channels=2, frames=4)


def walk(space, rng, rounds=ROUNDS):
    """Configurations from all over the space and near to each other."""
    config = space.sample(rng)
    for i in range(rounds):
        yield config
        config = space.sample(rng) if i % 4 == 3 else space.mutate(config, rng)


def narrowed(raw, rng, kept=8):
    """The file with two values of some parameters and one of all others."""
    family = family_spaces()[raw["family"]]
    written = {**family.entries({k: raw[k] for k in family.keys if k in raw}), **raw["parameters"]}
    names = [name for name, entry in written.items() if isinstance(entry, dict) and "choices" in entry]
    wide = set(rng.permutation(sorted(names))[:kept])
    entries = {}
    for name, entry in written.items():
        entry = dict(entry) if isinstance(entry, dict) else {"choices": entry if isinstance(entry, list) else [entry]}
        values = entry.pop("choices", None) or [entry.pop("low")]
        entries[name] = {
            **{k: v for k, v in entry.items() if k in ("when", "sets")},
            "choices": values[: 2 if name in wide else 1],
        }
    return {**raw, "parameters": entries}


def test_samples_become_networks_of_known_cost(space, rng):
    for side in (32, 128):
        plan = plan_for(space, side)
        for config in walk(space, rng, 12):
            space.validate(config)
            architecture, _ = space.decode(config, plan)
            assert expand(architecture).nodes[0].channels == plan.channels
            cost = analyze(architecture, input_size(architecture, plan))
            assert min(cost.parameters, cost.macs, cost.activations) > 0


def test_records_return_from_json(space, rng):
    plan = plan_for(space)
    for config in walk(space, rng, 20):
        assert json.loads(json.dumps(config)) == config
        architecture, recipe = space.decode(config, plan)
        again = parse_architecture(json.loads(json.dumps(architecture.plain())))
        assert again == architecture
        assert network_key(again, recipe) == network_key(architecture, recipe)


def test_codes_have_one_length_and_tell_configurations_apart(space, rng):
    codes = {}
    for config in walk(space, rng):
        code = space.encode(config)
        assert all(0 <= x <= 1 for x in code)
        codes.setdefault(tuple(code), config)
        assert codes[tuple(code)] == config
    assert len({len(code) for code in codes}) == 1
    assert len(codes) > ROUNDS / 2


def test_mutants_are_valid_neighbours(space, rng):
    for config in walk(space, rng):
        other = space.mutate(config, rng)
        space.validate(other)
        assert other != config


def test_children_are_valid_and_like_their_parents(space, rng):
    known = list(walk(space, rng))
    mixed = 0
    for a, b in itertools.pairwise(known):
        child = space.cross(a, b, rng)
        space.validate(child)
        for name, value in child.items():
            if name in a or name in b:
                assert value in [parent[name] for parent in (a, b) if name in parent]
        mixed += child not in (a, b)
        assert space.cross(a, a, rng) == a
    assert mixed > 0


def test_equal_seeds_give_equal_configurations_whatever_the_order_of_the_file(raw):
    turned = {key: raw[key] for key in reversed(raw)}
    turned["parameters"] = dict(reversed(raw["parameters"].items()))
    spaces = [SearchSpace.from_dict(data) for data in (raw, turned)]
    first, second = ([*walk(space, np.random.default_rng(7), 5)] for space in spaces)
    assert first == second


def test_the_unit_cube_covers_the_space_and_nothing_else(space, rng):
    for u in ([0.0] * space.dim, [1.0] * space.dim, rng.random(space.dim).tolist()):
        config = space.from_unit(u)
        space.validate(config)
        assert space.from_unit(u) == config
    with pytest.raises(ValueError, match="dimension"):
        space.from_unit([0.5] * (space.dim + 1))


def test_keys_do_not_depend_on_the_order_of_a_configuration(space, rng):
    plan = plan_for(space)
    for config in walk(space, rng, 10):
        turned = dict(reversed(config.items()))
        assert space.key(turned, plan) == space.key(config, plan)


def test_a_narrowed_space_has_as_many_configurations_as_it_says(raw, rng):
    for _ in range(4):
        space = SearchSpace.from_dict(narrowed(raw, rng))
        found = list(space.enumerate())
        assert len(found) == len({digest(config) for config in found}) == space.size()
        for config in found[:50]:
            space.validate(config)
        assert space.sample(rng) in found


def test_what_is_too_large_is_not_enumerated(raw, space, rng):
    if math.isinf(space.size()):
        with pytest.raises(UserError, match="range of numbers"):
            space.enumerate()
    small = SearchSpace.from_dict(narrowed(raw, rng))
    with pytest.raises(UserError, match="at most 1"):
        small.enumerate(most=1)


def test_networks_have_equal_keys_exactly_if_their_graphs_are_equal(raw, space, rng):
    """On a patch that allows few stages, so that many configurations build one network."""
    graphs, keys = {}, {}
    for source in (space, SearchSpace.from_dict(narrowed(raw, rng))):
        plan = plan_for(source, 16)
        for config in walk(source, rng):
            architecture, recipe = source.decode(config, plan)
            key, graph = network_key(architecture, recipe), graph_digest(expand(architecture))
            assert graphs.setdefault(key, graph) == graph
            assert keys.setdefault((graph, recipe), key) == key
            assert source.key(config, plan) == key


def test_a_search_can_start(space):
    for side in (32, 128):
        plan = plan_for(space, side)
        config = space.start(plan, limit(560_000))
        space.validate(config)
        space.decode(config, plan)


@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("name", MACRO)
def test_the_hand_made_plan_is_in_the_macro_spaces(name, side):
    space = SearchSpace.from_dict(space_file(name))
    plan, limits = plan_for(space, side), limit(560_000)
    found, recipe = space.decode(space.start(plan, limits), plan)
    baseline = BASELINES[space.family.start[plan.task]](plan, limits)
    assert found == baseline[0]
    if plan.task == "segmentation":
        assert recipe == baseline[1]


def test_the_space_for_cpu_minutes_starts_from_the_hand_made_plan_too():
    """Its recipe is the nearest, for the space leaves out an optimizer that has not begun to learn by then."""
    space = SearchSpace.from_dict(space_file("unet-small"))
    plan, limits = plan_for(space), limit(560_000)
    assert space.decode(space.start(plan, limits), plan)[0] == BASELINES["nnunet-small"](plan, limits)[0]
