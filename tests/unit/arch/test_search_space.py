"""Search spaces: every configuration is valid, canonical and reproducible; a bad file is named."""

import math

import numpy as np
import pytest
from plans import SPACES, limit, space_file, volume_plan

from voxnas.arch.baselines import BASELINES
from voxnas.arch.search_space import SearchSpace
from voxnas.core.errors import UserError

KERNELS = [(1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)]
PLANS = {
    "unet": volume_plan(patch=(40, 56, 40), kernels=KERNELS),
    "cnn": volume_plan("classification", (40, 56, 40), kernels=KERNELS),
}


def narrowed(**entries):
    """A small space: everything fixed but what is given."""
    space = space_file("unet")
    fixed = {
        name: entry["choices"][:1] if "choices" in entry else [entry["low"]]
        for name, entry in space["parameters"].items()
        if name not in ("expansion", "adamw_learning_rate", "muon_learning_rate", "sgd_learning_rate")
    }
    return {"family": "unet", "parameters": {**fixed, "learning_rate": 0.01, **entries}}


@pytest.fixture(params=["unet", "cnn"])
def family(request):
    return request.param


@pytest.fixture
def space(family):
    return SearchSpace.from_dict(space_file(family))


def test_mutants_change_at_most_two_parameters_and_what_depends_on_them(space):
    rng = np.random.default_rng(1)
    dependent = {"expansion", "adamw_learning_rate", "muon_learning_rate", "sgd_learning_rate"}
    for _ in range(200):
        config = space.sample(rng)
        other = space.mutate(config, rng)
        changed = {k for k in config.keys() | other.keys() if config.get(k) != other.get(k)}
        assert 1 <= len(changed - dependent) <= 2 or changed <= dependent


def test_the_corners_of_the_unit_cube_are_the_ends_of_the_space(space):
    for corner in (0.0, 1.0):
        config = space.from_unit([corner] * space.dim)
        space.validate(config)
        assert config["spatial"] == corner
    with pytest.raises(ValueError, match="dimension"):
        space.from_unit([0.5])


def test_a_start_outside_of_a_narrowed_space_becomes_the_nearest():
    config = SearchSpace.from_dict(narrowed(base_width=[12, 32], optimizer="adamw", kernel=5)).start(
        PLANS["unet"], limit()
    )
    assert (config["base_width"], config["optimizer"], config["kernel"]) == (12, "adamw", 5)


def test_recipes_of_a_space_have_no_architecture(family):
    recipes = SearchSpace.recipes_of(space_file(family))
    plan = PLANS[family]
    config = recipes.sample(np.random.default_rng(0))
    assert not {"stages", "block", "base_width"} & set(config)
    assert recipes.decode_recipe(config, plan).loss in (["ce"] if family == "cnn" else ["dice_ce", "dice_focal"])
    published = BASELINES["nnunet" if family == "unet" else "sfcn"](plan, limit())[1]
    assert recipes.decode_recipe(recipes.nearest(published), plan) == published


def test_inactive_parameters_do_not_separate_configurations():
    space = SearchSpace.from_dict(
        narrowed(block=["plain", "residual", "inverted"], expansion={"choices": [2, 4], "when": {"block": "inverted"}})
    )
    assert space.dim == 2
    plain, residual = space.from_unit([0.0, 0.0]), space.from_unit([0.4, 0.9])
    assert "expansion" not in plain
    difference = np.subtract(space.encode(plain), space.encode(residual))
    assert np.linalg.norm(difference) == pytest.approx(1.0)
    narrow, wide = space.from_unit([0.9, 0.0]), space.from_unit([0.9, 0.9])
    assert (narrow["expansion"], wide["expansion"]) == (2, 4)
    assert np.linalg.norm(np.subtract(space.encode(narrow), space.encode(wide))) == pytest.approx(1.0)
    assert space.size() == 2 + 2


def test_a_condition_that_never_holds_takes_no_dimension():
    entry = {"choices": [2, 4], "when": {"block": "inverted"}}
    space = SearchSpace.from_dict(narrowed(block="plain", expansion=entry, stages=[3, 4]))
    assert (space.dim, space.size()) == (1, 2)


def test_size_is_infinite_with_a_range(space):
    assert space.size() == math.inf
    assert SearchSpace.from_dict(narrowed()).size() == 1


def test_a_space_of_one_configuration_mutates_to_itself():
    space = SearchSpace.from_dict(narrowed())
    config = space.sample(np.random.default_rng(0))
    assert space.mutate(config, np.random.default_rng(0)) == config


def test_logarithmic_ranges_are_even_in_the_logarithm():
    space = SearchSpace.from_dict(narrowed(learning_rate={"low": 1e-4, "high": 1e-2, "log": True}))
    assert space.from_unit([0.5])["learning_rate"] == pytest.approx(1e-3)
    assert space.encode(space.from_unit([0.25])) == pytest.approx([0.25], abs=1e-3)


def test_kernels_stay_one_along_thick_slices():
    architecture, _ = SearchSpace.from_dict(narrowed(kernel=5)).decode(
        SearchSpace.from_dict(narrowed(kernel=5)).from_unit([]), PLANS["unet"]
    )
    assert architecture.kernels[:2] == ((1, 5, 5), (5, 5, 5))


def test_widths_grow_to_a_multiple_of_the_base_and_are_even():
    plan = volume_plan(patch=(160,) * 3, strides=[(1, 1, 1)] + [(2, 2, 2)] * 5)
    space = SearchSpace.from_dict(narrowed(stages=[6], base_width=6, growth=2, widest=10))
    assert space.decode(space.from_unit([]), plan)[0].widths == (6, 12, 24, 48, 60, 60)


def test_a_stage_has_what_is_its_own():
    entries = {
        "stages": 4,
        "base_width": 8,
        "growth": 2,
        "widest": 10,
        "block": "residual",
        "block.1": "inverted",
        "expansion.1": 3,
        "excite.2": True,
        "kernel.2": 5,
        "blocks": 1,
        "blocks.3": 3,
        "width.1": 0.75,
        "decoder_block": "plain",
        "decoder_block.1": "separable",
        "decoder_blocks": 1,
        "decoder_blocks.2": 2,
        "top_blocks": 2,
    }
    space = SearchSpace.from_dict(narrowed(**entries))
    network, _ = space.decode(space.from_unit([]), PLANS["unet"])
    assert network.block == ("residual", "inverted", "residual", "residual")
    assert network.expansion == (1, 3, 1, 1)
    assert network.excite == (False, False, True, False)
    assert network.kernels[1:] == ((3, 3, 3), (5, 5, 5), (3, 3, 3))
    assert network.blocks == (2, 1, 1, 3)
    assert network.widths == (8, 12, 32, 64)
    assert network.decoder_block == ("plain", "separable", "plain")
    assert network.decoder_blocks == (2, 1, 2)


def test_a_target_of_all_stages_can_be_left_out_where_each_has_its_own():
    entries = {f"kernel.{i}": [3, 5] for i in range(3)}
    file = narrowed(stages=[3, 4], **entries)
    del file["parameters"]["kernel"]
    with pytest.raises(UserError, match=r"kernel.3 is missing where stages = 4"):
        SearchSpace.from_dict(file)
    file["parameters"]["kernel.3"] = {"choices": [3, 5], "when": {"stages": 4}}
    assert SearchSpace.from_dict(file).size() == 2**3 + 2**4


def test_an_expansion_is_asked_for_where_a_block_takes_one():
    file = narrowed(**{"block.1": ["plain", "inverted"], "stages": [3, 4]})
    with pytest.raises(UserError, match=r"expansion is missing where .*block.1 = inverted"):
        SearchSpace.from_dict(file)
    file["parameters"]["expansion"] = {"choices": [2, 3], "when": {"block.1": "inverted"}}
    assert SearchSpace.from_dict(file).size() == 2 * (1 + 2)


def test_a_condition_can_have_alternatives():
    when = [{"block": "inverted"}, {"decoder_block": "inverted", "stages": [4]}]
    entries = {
        "stages": [3, 4],
        "block": ["plain", "inverted"],
        "decoder_block": ["plain", "inverted"],
        "expansion": {"choices": [2, 3, 4], "when": when},
    }
    with pytest.raises(UserError, match=r"expansion is missing where .*decoder_block = inverted, stages = 3"):
        SearchSpace.from_dict(narrowed(**entries))
    entries["expansion"]["when"] = [{"block": "inverted"}, {"decoder_block": "inverted"}]
    space = SearchSpace.from_dict(narrowed(**entries))
    assert space.size() == len(list(space.enumerate())) == 2 * (1 + 3 * 3)


def test_counting_is_fast_where_every_stage_has_conditions():
    raw_space = space_file("unet-stages")
    for name, entry in raw_space["parameters"].items():
        if isinstance(entry, dict) and "low" in entry:
            raw_space["parameters"][name] = {"choices": [entry["low"]], **{k: entry[k] for k in entry if k == "when"}}
            raw_space["parameters"][name] |= {k: entry[k] for k in entry if k == "sets"}
    assert 1e23 < SearchSpace.from_dict(raw_space).size() < math.inf


def test_children_take_each_value_from_a_parent_and_draw_what_neither_has():
    entries = {
        "block": ["plain", "inverted"],
        "stages": [3, 4],
        "activation": ["relu", "silu"],
        "expansion": {"choices": [2, 3, 4], "when": {"block": "inverted"}},
        "width.3": {"choices": [0.75, 1.25], "when": {"block": "inverted", "stages": 4}},
    }
    space = SearchSpace.from_dict(narrowed(**entries))
    a = {**space.from_unit([0.0] * space.dim), "stages": 4}
    b = {**space.from_unit([0.0] * space.dim), "block": "inverted", "expansion": 3, "activation": "silu"}
    rng, seen = np.random.default_rng(0), set()
    for _ in range(100):
        child = space.cross(a, b, rng)
        space.validate(child)
        assert child.get("expansion", 3) == 3
        seen.add((child["block"], child["stages"], child["activation"], child.get("width.3")))
    assert len(seen) == 2 * 2 * 2 + 2  # with the two widths that neither parent has


def test_choices_without_effect_do_not_change_the_key():
    plan = PLANS["unet"]
    for entries in (
        {"block.0": ["plain", "separable"], "top_blocks": 1, "decoder_block": "plain"},  # the first block is the stem
        {"block.2": "shift", "kernel.2": [3, 5], "decoder_block.2": "shift"},  # it moves by one voxel
        {"stages": [4, 5]},
        {"width.5": [0.75, 1.25]},
    ):
        space = SearchSpace.from_dict(narrowed(**entries))
        configs = list(space.enumerate())
        assert len(configs) == 2
        assert len({space.key(config, plan) for config in configs}) == 1, entries


def test_a_space_of_one_task_refuses_the_other():
    space = SearchSpace.from_dict(space_file("cnn"))
    with pytest.raises(UserError, match="family cnn does not fit the task segmentation"):
        space.decode(space.sample(np.random.default_rng(0)), PLANS["unet"])


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("blokc", ["plain"], r"my.yaml: parameters.blokc: unknown parameter. did you mean 'block'\?"),
        ("block", ["plain", "thick"], "'thick' is not allowed. allowed: one of .*inverted, .*plain, .*residual"),
        ("stages", [3, 9], "9 is not allowed. allowed: an integer from 1 to 6"),
        ("kernel", [4], "4 is not allowed. allowed: an odd number from 1 to 7"),
        ("growth", ["2.0"], "'2.0' is not allowed. allowed: a number"),
        ("weight_decay", {"low": "1e-6", "high": 0.1}, "in YAML write 1.0e-3, not 1e-3"),
        ("weight_decay", {"low": 0.1, "high": 0.01}, "low must be below high"),
        ("weight_decay", {"low": 0.0, "high": 0.01, "log": True}, "begins above 0"),
        ("weight_decay", {"choices": [0.1], "low": 0.1, "high": 0.01}, "either choices or low and high"),
        ("weight_decay", {"choice": [0.1]}, "unknown key 'choice'. did you mean 'choices'"),
        ("norm", {"low": 1, "high": 2}, "give choices; allowed: one of instance, group"),
        ("norm", ["group", "group"], "none of them twice"),
        ("norm", {"choices": ["group"], "when": {"blok": "plain"}}, "did you mean 'block'"),
        ("norm", {"choices": ["group"], "when": {"block": "plain"}}, "norm is missing where block = residual"),
        ("optimizer", {"choices": ["sgd"], "when": {"block": "plain"}}, "can depend only on"),
        ("rate", {"choices": [0.1], "sets": "learning_rate"}, "learning_rate is set twice"),
    ],
)
def test_a_bad_file_is_named(name, entry, message):
    space = narrowed(block=["plain", "residual"])
    space["parameters"][name] = entry
    with pytest.raises(UserError, match=message):
        SearchSpace.from_dict(space, "my.yaml")


def test_a_missing_parameter_is_named():
    space = space_file("unet")
    del space["parameters"]["norm"]
    with pytest.raises(UserError, match="norm is missing"):
        SearchSpace.from_dict(space)
    with pytest.raises(UserError, match=r"family = 'transformer'\. allowed: .*cnn, .*unet"):
        SearchSpace.from_dict({"family": "transformer", "parameters": {}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_width": 5}, "base_width = 5 is not allowed"),
        ({"expansion": 2}, "expansion = 2 is not active"),
        ({"base": 4}, "unknown parameter 'base'"),
    ],
)
def test_validate_names_what_does_not_belong(change, message):
    space = SearchSpace.from_dict(space_file("unet"))
    config = {**space.start(PLANS["unet"], limit()), **change}
    with pytest.raises(UserError, match=message):
        space.validate(config)


@pytest.mark.parametrize("name", ["unet", "cnn"])
def test_space_files_say_how_to_narrow_them(name):
    opening = (SPACES / f"{name}.yaml").read_text().split("family:")[0]
    assert "copy" in opening and "narrow" in opening
