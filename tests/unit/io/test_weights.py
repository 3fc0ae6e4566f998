import pytest
import torch

from voxnas.core.errors import UserError
from voxnas.io.weights import load_weights, save_weights


def test_tensors_and_texts_come_back(tmp_path):
    shared = torch.arange(6.0)
    tensors = {"a": shared.view(2, 3), "b": shared.view(3, 2).t(), "n": torch.tensor(3)}
    save_weights(tmp_path / "deep" / "w.safetensors", tensors, {"mean": "1.5"})
    found, metadata = load_weights(tmp_path / "deep" / "w.safetensors")
    assert metadata == {"mean": "1.5"}
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.safetensors does not exist"):
        load_weights(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x01" * 40)
    with pytest.raises(UserError, match=r"bad\.safetensors is not a readable"):
        load_weights(tmp_path / "bad.safetensors")


def test_a_file_has_the_mode_of_other_files(tmp_path):
    save_weights(tmp_path / "w.safetensors", {"a": torch.zeros(1)})
    (tmp_path / "plain").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
