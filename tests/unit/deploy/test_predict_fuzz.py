"""Hostile model folders: each is loaded, or one line names it; nothing hangs, and memory is bounded."""

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_folders import sign_model
from plans import input_view, run_plan, volume_plan

from voxnas.arch.families.clip import Clip
from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.matrix import Matrix
from voxnas.arch.families.reference import Reference
from voxnas.arch.families.unet import UNet
from voxnas.core.architecture import Recipe, network_key
from voxnas.core.errors import UserError
from voxnas.core.trial import Network
from voxnas.deploy.predict import ModelFolder
from voxnas.io.records import write_json
from voxnas.io.weights import save_weights
from voxnas.nn.build import build_network

FURTHER_MIB = 1500  # more memory than before a folder is read
STAGED = {"widths": [2, 4], "blocks": [1, 1], "strides": [[1, 1, 1], [2, 2, 2]], "kernels": [[3, 3, 3]] * 2}
VIEWS = {"clips": input_view((8, 8, 8), frames=4), "connectivity": input_view((1, 8, 8))}
MODELS = {
    "unet": (UNet(**STAGED, in_channels=1, out_channels=3, decoder_blocks=[1]), volume_plan(patch=(8, 8, 8))),
    "cnn": (CNN(**STAGED, in_channels=1, out_channels=2), volume_plan("classification", (8, 8, 8))),
    "named": (
        Reference(name="unet3d", in_channels=1, out_channels=3, options={"width": 2, "levels": 2}),
        volume_plan(patch=(8, 8, 8)),
    ),
    "clip": (
        Clip(**STAGED, in_channels=1, out_channels=2, view="clips", temporal="conv", time_head="gru", time_width=4),
        run_plan(VIEWS),
    ),
    "matrix": (
        Matrix(regions=8, reads="crosses", edges=[2], nodes=2, hidden=[3], in_channels=1, out_channels=2,
               view="connectivity"),
        run_plan(VIEWS),
    ),
}  # fmt: skip
RECORDS = ("architecture.json", "plan.json", "model.json")
NUMBERS = st.sampled_from([-5, 0, 1, 2, 3, 9, 255, 9999, 20_000, 10**6, 10**12, 10**30, 0.5, -1.5, 1e300])
SCALARS = (
    st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "clips", "../..", "conv", "$(x)", "0", "\x00"])
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A sound model folder of each family."""
    found = {}
    for name, (architecture, plan) in MODELS.items():
        folder, recipe = tmp_path_factory.mktemp(name), Recipe()
        key = network_key(architecture, recipe)
        write_json(
            folder / "architecture.json",
            Network(key=key, name=name, source="random", architecture=architecture, recipe=recipe, samples=1),
        )
        write_json(folder / "plan.json", plan)
        save_weights(folder / "weights-0.safetensors", build_network(architecture).state_dict())
        found[name] = sign_model(folder)
        ModelFolder(folder)
    return found


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Let allocations beyond :data:`FURTHER_MIB` fail with a MemoryError, as an error of the test."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + FURTHER_MIB * 2**20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def places_of(data, prefix=()):
    """Paths of all values of JSON data."""
    found = [prefix]
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        found += places_of(value, (*prefix, key))
    return found


def replaced(data, path, value):
    """JSON data with another value at a path."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


def load(damaged) -> None:
    with bounded_memory():
        try:
            ModelFolder(damaged, ensemble=True)
        except UserError as error:
            assert str(damaged) in str(error)


def drawn_copy(data: st.DataObject, folders, tmp_path_factory):
    """Draw one of the model folders; return it and a copy to damage."""
    folder = folders[data.draw(st.sampled_from(sorted(MODELS)))]
    damaged = tmp_path_factory.getbasetemp() / "damaged"
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(folder, damaged)
    return folder, damaged


@settings(max_examples=250)
@given(data=st.data())
def test_any_value_of_a_model_folder_is_one_line(data: st.DataObject, folders, tmp_path_factory) -> None:
    """The digests fit, as in a folder of an attacker."""
    folder, damaged = drawn_copy(data, folders, tmp_path_factory)
    name = data.draw(st.sampled_from(RECORDS))
    record = json.loads((folder / name).read_text())
    path = data.draw(st.sampled_from([path for path in places_of(record) if path]))
    text = json.dumps(replaced(record, path, data.draw(VALUES)))
    (damaged / name).write_text(text)
    if name != "model.json":
        sign_model(damaged)
    load(damaged)


@settings(max_examples=150)
@given(data=st.data())
def test_any_bytes_in_a_model_folder_are_one_line(data: st.DataObject, folders, tmp_path_factory) -> None:
    folder, damaged = drawn_copy(data, folders, tmp_path_factory)
    name = data.draw(st.sampled_from([*RECORDS, "weights-0.safetensors"]))
    content = (folder / name).read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.sampled_from([start, start + 1, start + 8, len(content)]))
    (damaged / name).write_bytes(content[:start] + data.draw(st.binary(max_size=8)) + content[end:])
    if name == "weights-0.safetensors":
        sign_model(damaged)
    load(damaged)
