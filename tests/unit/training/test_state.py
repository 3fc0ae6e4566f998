import json

import pytest
import torch
from torch import nn

from voxnas.core.architecture import Recipe
from voxnas.training.optimizers import build_optimizer
from voxnas.training.state import Progress, StateRefused, delete_state, read_state, save_state


def make_pair(name, seed=0):
    torch.manual_seed(seed)
    network = nn.Linear(3, 2)
    return network, build_optimizer(network, Recipe(optimizer=name))


def take_step(network, optimizer):
    network(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_everything_comes_back_bit_by_bit(tmp_path, name):
    network, optimizer = make_pair(name)
    take_step(network, optimizer)
    progress = Progress(12, 0.1 + 0.2, 3, 0.7, 1, [{"samples": 8, "val_score": 0.1}])
    save_state(tmp_path, "abc", {"network": network}, {"optimizer": optimizer}, progress)
    other, other_optimizer = make_pair(name, seed=1)
    saved = read_state(tmp_path, "abc")
    saved.load({"network": other}, {"optimizer": other_optimizer})
    assert saved.progress == progress
    for pair in ((network, optimizer), (other, other_optimizer)):
        take_step(*pair)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_a_new_state_replaces_the_old_one_and_goes_when_told(tmp_path):
    network, optimizer = make_pair("adamw")
    for samples in (4, 8):
        save_state(tmp_path, "abc", {"network": network}, {"optimizer": optimizer}, Progress(samples))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state-8.safetensors", "state.json"]
    delete_state(tmp_path)
    assert not list(tmp_path.iterdir())
    assert read_state(tmp_path, "abc") is None


def test_damaged_foreign_and_missing_states_are_refused(tmp_path):
    network, optimizer = make_pair("adamw")
    save_state(tmp_path, "abc", {"network": network}, {"optimizer": optimizer}, Progress(4))
    with pytest.raises(StateRefused, match="belongs to abc"):
        read_state(tmp_path, "other")
    file = tmp_path / json.loads((tmp_path / "state.json").read_text())["file"]
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(StateRefused, match="digest"):
        read_state(tmp_path, "abc")
    file.unlink()
    with pytest.raises(StateRefused, match="missing"):
        read_state(tmp_path, "abc")
