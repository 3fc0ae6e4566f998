"""The rules of families: nobody outside asks which one an architecture has, and another package can add one."""

import ast
import json
import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
import torch
import yaml
from other_families import files_of_other_packages
from plans import changed, space_file
from pydantic import ValidationError
from tiny_training import make_study

import voxnas
from voxnas.arch.families import FAMILIES, expand
from voxnas.arch.search_space import SearchSpace
from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.core.architecture import network_key, parse_architecture
from voxnas.core.trial import Network, Proposal
from voxnas.io.records import read_plan, read_record, write_json
from voxnas.nn.build import build_network
from voxnas.report.drawing import draw_network
from voxnas.training.inference import load_trained, predict_probabilities, predict_vectors

SOURCE = Path(voxnas.__file__).parent
PROJECT = Path(__file__).parents[2]
OTHERS = files_of_other_packages()


def asks_for_a_family(node: ast.AST, records: set[str]) -> bool:
    """Whether code compares the family of an architecture, or asks for the class of its record."""
    if isinstance(node, ast.Compare):
        return any(isinstance(side, ast.Attribute) and side.attr == "family" for side in (node.left, *node.comparators))
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"):
        return False
    return any(isinstance(part, ast.Name) and part.id in records for part in ast.walk(node.args[1]))


def test_nobody_outside_asks_which_family_an_architecture_has():
    records = {FAMILIES[name].record.__name__ for name in FAMILIES}
    families = SOURCE / "arch" / "families"
    for path in SOURCE.rglob("*.py"):
        if not path.is_relative_to(families):
            asking = [node for node in ast.walk(ast.parse(path.read_text())) if asks_for_a_family(node, records)]
            assert [f"{path}:{node.lineno}" for node in asking] == []


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_record_is_entered_under_its_own_name(name):
    assert FAMILIES[name].record.model_fields["family"].default == name


def check_that_it_is_costed_drawn_and_trained(architecture, recipe, paths, folder):
    """Leaves the weights in a folder."""
    size = input_size(architecture, read_plan(paths.plan))
    parameters = sum(p.numel() for p in build_network(architecture).parameters())
    assert analyze(architecture, size).parameters == parameters
    figure, table = draw_network(architecture, list(size), "a title")
    assert list(table.columns[:3]) == ["part", "stage", "channels"] and figure.axes

    fields = {"key": network_key(architecture, recipe), "architecture": architecture, "recipe": recipe}
    network = Network(**fields, name="a name", source="s", samples=8)
    write_json(folder / "network.json", network)
    options = ["--network", folder / "network.json", "--seed", "0", "--output", folder / "result.json"]
    command = [sys.executable, "-m", "voxnas", "train", "--study", paths.root, *options]
    run(list(map(str, command)), check=True)
    result = json.loads((folder / "result.json").read_text())
    assert (result["state"], result["samples"], result["parameters"]) == ("DONE", 8, parameters)


@pytest.mark.parametrize("name", OTHERS)
def test_a_family_of_another_package_is_proposed_costed_drawn_trained_and_predicts(name, tmp_path):
    paths = make_study(tmp_path / "study", "classification")
    plan = changed(read_plan(paths.plan), strides=[(1, 1, 1), (2, 2, 2)], kernels=[(3, 3, 3)] * 2)
    space = SearchSpace.from_dict(yaml.safe_load(OTHERS[name].read_text()), name)
    architecture, recipe = space.decode(space.sample(np.random.default_rng(0)), plan)
    write_json(
        tmp_path / "proposal.json",
        Proposal(search="s", step=0, trial="t", origin="random", architecture=architecture, recipe=recipe),
    )
    assert read_record(tmp_path / "proposal.json", Proposal).architecture == architecture

    check_that_it_is_costed_drawn_and_trained(architecture, recipe, paths, tmp_path)
    trained = load_trained(architecture, tmp_path / "weights.safetensors")
    assert predict_vectors(trained, [torch.zeros(1, 8, 8, 8)], [8, 8, 8]).shape == (1, 2)


def test_a_searched_network_with_another_width_is_a_network_of_its_own(tmp_path):
    """Written out as a graph, with fewer channels in one block: as pruning leaves it."""
    paths = make_study(tmp_path / "study")
    plan = changed(read_plan(paths.plan), strides=[(1, 1, 1), (2, 2, 2)], kernels=[(3, 3, 3)] * 2)
    space = SearchSpace.from_dict(space_file("unet"), "unet")
    unet, recipe = space.decode(space.sample(np.random.default_rng(0)), plan)
    record = {"family": "graph", "in_channels": 1, "out_channels": 2, "graph": expand(unet).plain()}
    whole = parse_architecture(record)
    assert whole.graph == expand(unet) and parse_architecture(whole.plain()) == whole
    assert network_key(whole, recipe) != network_key(unet, recipe)

    (block,) = (node for node in record["graph"]["nodes"] if node["id"] == "encoder.0.block.0")
    block["channels"] -= 1
    narrow = parse_architecture(record)
    assert network_key(narrow, recipe) != network_key(whole, recipe)
    assert analyze(narrow, (8, 8, 8)).macs < analyze(whole, (8, 8, 8)).macs == analyze(unet, (8, 8, 8)).macs

    check_that_it_is_costed_drawn_and_trained(narrow, recipe, paths, tmp_path)
    trained = load_trained(narrow, tmp_path / "weights.safetensors")
    assert "encoder.0.block.0.0.weight" in trained.state_dict()
    assert predict_probabilities(trained, torch.zeros(1, 8, 10, 9), [8, 8, 8], (), "float32").shape == (2, 8, 10, 9)
    with pytest.raises(ValidationError, match="out_channels = 3 where the node 'head' has 2"):
        parse_architecture(record | {"out_channels": 3})
