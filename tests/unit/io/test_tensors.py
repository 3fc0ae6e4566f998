import numpy as np
import pytest
from safetensors.numpy import load_file

from voxnas.core.errors import UserError
from voxnas.io.tensors import TensorWriter, open_tensors


def test_the_library_reads_what_was_written_piece_by_piece(tmp_path):
    arrays = {
        "a/maps": np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32),
        "b": np.arange(5, dtype=np.uint8),
        "nothing": np.zeros((0, 3), np.float32),
        "turned": np.arange(6, dtype=np.float16).reshape(2, 3).T,
    }
    with TensorWriter(tmp_path / "deep" / "views.safetensors") as writer:
        for name, array in arrays.items():
            writer.add(name, array)
    found = load_file(tmp_path / "deep" / "views.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_no_tensor_is_a_file_too(tmp_path):
    with TensorWriter(tmp_path / "views.safetensors"):
        pass
    assert load_file(tmp_path / "views.safetensors") == {}


def test_a_failure_leaves_nothing_and_a_name_is_used_once(tmp_path):
    with (
        pytest.raises(ValueError, match="duplicate tensor 'a'"),
        TensorWriter(tmp_path / "views.safetensors") as writer,
    ):
        for _ in range(2):
            writer.add("a", np.zeros(2, np.float32))
    assert not list(tmp_path.iterdir())


def test_a_truncated_file_is_named(tmp_path):
    file = tmp_path / "0.safetensors"
    with TensorWriter(file) as writer:
        writer.add("a/image", np.zeros((9, 9), np.float32))
    whole = file.read_bytes()
    for length in (0, 7, 20, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"0\.safetensors is not a readable safetensors file"):
            open_tensors(file, "np")
