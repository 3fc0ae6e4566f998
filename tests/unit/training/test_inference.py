import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import nn

from voxnas.core.architecture import further_copies
from voxnas.core.errors import UserError
from voxnas.io.weights import save_weights
from voxnas.nn.build import build_network
from voxnas.training import inference
from voxnas.training.inference import load_trained, predict_probabilities, predict_vectors

PATCH = [8, 8, 8]


class Voxelwise(nn.Module):
    """Each voxel's class from its value alone, so that tiling and flipping change nothing."""

    divisor = (4, 4, 4)

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, x):
        self.sizes.append(tuple(x.shape[2:]))
        return torch.cat([-x, x], 1)


@pytest.mark.parametrize("shape", [(5, 6, 7), (8, 8, 8), (9, 12, 8), (20, 17, 30)])
@pytest.mark.parametrize("copies", [("none", False), ("left_right", False), ("all", True)])
def test_probabilities_lie_on_the_scans_grid(shape, copies):
    image = torch.randn(1, *shape)
    network = Voxelwise()
    found = predict_probabilities(network, image, PATCH, further_copies(*copies), "float32")
    expected = torch.stack([torch.sigmoid(-2 * image[0]), torch.sigmoid(2 * image[0])])
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-5)
    assert all(n % 4 == 0 for size in network.sizes for n in size)
    if max(shape) == 30:
        assert set(network.sizes) == {(8, 8, 8)}


def test_mirroring_averages_eight_copies():
    class Ramp(nn.Module):
        def forward(self, x):
            ramp = torch.arange(x.shape[2], dtype=x.dtype).view(1, 1, -1, 1, 1).expand_as(x)
            return torch.cat([ramp, -ramp], 1)

    image = torch.zeros(1, 8, 8, 8)
    plain = predict_probabilities(Ramp(), image, PATCH, (), "float32")
    mirrored = predict_probabilities(Ramp(), image, PATCH, further_copies("all", False), "float32")
    assert not torch.allclose(plain, plain.flip(1))
    assert torch.allclose(mirrored, (plain + plain.flip(1)) / 2, atol=1e-6)


def test_shifts_average_seven_copies_where_they_cover_a_voxel():
    class Parity(nn.Module):
        def forward(self, x):
            even = (torch.arange(x.shape[2]) % 2 == 0).to(x.dtype).view(1, 1, -1, 1, 1).expand_as(x)
            return torch.cat([even, -even], 1)

    image = torch.zeros(1, 8, 8, 8)
    plain = predict_probabilities(Parity(), image, PATCH, (), "float32")
    found = predict_probabilities(Parity(), image, PATCH, further_copies("none", True), "float32")
    other = plain.flip(1)  # the next plane along the first axis
    assert torch.allclose(found[:, 1:-1, 1:-1, 1:-1], ((5 * plain + 2 * other) / 7)[:, 1:-1, 1:-1, 1:-1], atol=1e-6)
    assert torch.allclose(found[:, 0, 1:-1, 1:-1], ((5 * plain + other) / 6)[:, 0, 1:-1, 1:-1], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "patch", "sizes"),
    [
        ((35, 51, 35), (40, 56, 40), {(40, 56, 40)}),  # smaller than the patch
        ((41, 40, 10), (40, 40, 12), {(44, 40, 12)}),  # as a whole: to the divisor of the network, not of the patch
        ((140, 172, 140), (128, 128, 128), {(140, 172, 140)}),
        ((33, 20, 20), (16, 16, 16), {(16, 16, 16)}),  # by a sliding window: no padding
    ],
)
def test_volumes_are_padded_no_more_than_the_network_needs(shape, patch, sizes, monkeypatch):
    slid = []
    slide = inference._slide
    monkeypatch.setattr(inference, "_slide", lambda f, x, p: slid.append(tuple(x.shape[2:])) or slide(f, x, p))
    network = Voxelwise()
    predict_probabilities(network, torch.zeros(1, *shape), patch, (), "float32")
    assert set(network.sizes) == sizes
    assert slid == [shape] * (shape == (33, 20, 20))


def test_a_sliding_window_sees_the_volume_alone(new_job):
    torch.manual_seed(0)
    network, patch = build_network(new_job().architecture).eval(), (16, 16, 16)
    image = torch.randn(1, 24, 27, 23) + 3  # not zero, as padding would be
    found = predict_probabilities(network, image, patch, (), "float32")
    with torch.inference_mode():
        expected = sliding_window_inference(image[None], patch, 1, network, overlap=0.5, mode="gaussian")
    assert torch.allclose(found, expected[0].softmax(0), atol=1e-6)
    # Windows differ from their neighbours at the seams, so that the weights of the window matter.
    with torch.inference_mode():
        constant = sliding_window_inference(image[None], patch, 1, network, overlap=0.5, mode="constant")
    assert not torch.allclose(found, constant[0].softmax(0), atol=1e-3)


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
