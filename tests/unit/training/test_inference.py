import pytest
import torch
from torch import nn

from voxnas.core.errors import UserError
from voxnas.io.weights import save_weights
from voxnas.nn.build import build_network
from voxnas.training.inference import load_trained, padded_size, predict_probabilities, predict_vectors

PATCH = [8, 8, 8]


class Voxelwise(nn.Module):
    """Each voxel's class from its value alone, so that tiling and flipping change nothing."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, x):
        self.sizes.append(tuple(x.shape[2:]))
        return torch.cat([-x, x], 1)


@pytest.mark.parametrize("shape", [(5, 6, 7), (8, 8, 8), (9, 12, 8), (20, 17, 30)])
@pytest.mark.parametrize("mirror", [(), (2,), (0, 1, 2)])
def test_probabilities_lie_on_the_scans_grid(shape, mirror):
    image = torch.randn(1, *shape)
    network = Voxelwise()
    found = predict_probabilities(network, image, PATCH, mirror, "float32")
    expected = torch.stack([torch.sigmoid(-2 * image[0]), torch.sigmoid(2 * image[0])])
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-5)
    assert all(n % 8 == 0 for size in network.sizes for n in size)
    if max(shape) == 30:
        assert set(network.sizes) == {(8, 8, 8)}


def test_mirroring_averages_eight_copies():
    class Ramp(nn.Module):
        def forward(self, x):
            ramp = torch.arange(x.shape[2], dtype=x.dtype).view(1, 1, -1, 1, 1).expand_as(x)
            return torch.cat([ramp, -ramp], 1)

    image = torch.zeros(1, 8, 8, 8)
    plain = predict_probabilities(Ramp(), image, PATCH, (), "float32")
    mirrored = predict_probabilities(Ramp(), image, PATCH, (0, 1, 2), "float32")
    assert not torch.allclose(plain, plain.flip(1))
    assert torch.allclose(mirrored, (plain + plain.flip(1)) / 2, atol=1e-6)


def test_padded_size_fits_the_network():
    assert padded_size((35, 51, 35), (40, 56, 40)) == [40, 56, 40]
    assert padded_size((41, 40, 10), (40, 40, 12)) == [48, 40, 12]


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_trained_networks_come_back(new_job, tmp_path, task):
    architecture = new_job(task).architecture
    network = build_network(architecture).eval()
    save_weights(tmp_path / "w.safetensors", network.state_dict())
    again = load_trained(architecture, tmp_path / "w.safetensors")
    image = torch.randn(1, 7, 8, 9)
    predict = (
        (lambda n, i, p: predict_vectors(n, [i], p)[0])
        if task == "classification"
        else lambda n, i, p: predict_probabilities(n, i, p, ())
    )
    assert not again.training
    assert torch.equal(predict(network, image, PATCH), predict(again, image, PATCH))


def test_values_are_in_the_targets_units(new_job, tmp_path):
    architecture = new_job("regression").architecture
    network = build_network(architecture).eval()
    save_weights(tmp_path / "w.safetensors", network.state_dict(), {"target_mean": "50.0", "target_sd": "4.0"})
    image = torch.randn(1, *PATCH)
    standard = predict_vectors(network, [image], PATCH)[0]
    assert torch.allclose(
        predict_vectors(load_trained(architecture, tmp_path / "w.safetensors"), [image], PATCH)[0], standard * 4 + 50
    )


def test_weights_of_another_network_are_refused(new_job, tmp_path):
    network = build_network(new_job("classification").architecture)
    save_weights(tmp_path / "w.safetensors", network.state_dict())
    with pytest.raises(UserError, match=r"w\.safetensors holds the weights of another network"):
        load_trained(new_job().architecture, tmp_path / "w.safetensors")
