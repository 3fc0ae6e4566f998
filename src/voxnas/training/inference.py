"""Application of a trained network to preprocessed scans."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from voxnas.arch.families import family_of
from voxnas.arch.layers import Size3
from voxnas.core.architecture import Architecture, Copy
from voxnas.core.errors import UserError
from voxnas.core.plan import rounded_up
from voxnas.io.weights import load_weights
from voxnas.nn.build import build_network
from voxnas.nn.device import compute_device, device_of
from voxnas.nn.precision import autocast
from voxnas.training.linear import LinearModel
from voxnas.training.sampling.patches import centred_start, crop_or_pad

OVERLAP = 0.5
WHOLE_VOLUME = 2.0  # largest volume, in patches, that is predicted at once


def load_trained(architecture: Architecture, weights_path: str | Path) -> nn.Module:
    """Load the network of an `architecture` with the weights at `weights_path`, on a GPU if one is available.

    For regression the attribute ``target_scale`` holds the mean and the standard deviation of the training scans'
    values, by which :func:`predict_vectors` returns values in the units of the target.

    Raises
    ------
    UserError
        If the file is missing or damaged, or contains the weights of another network.
    """
    tensors, metadata = load_weights(weights_path)
    network = (
        LinearModel.empty(architecture, tensors) if family_of(architecture).fitted else build_network(architecture)
    )
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise UserError(f"{weights_path} holds the weights of another network", "train this network") from None
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise UserError(f"{weights_path} holds weights that are not finite", "train this network again")
    network.target_scale = target_scale(metadata)  # type: ignore[assignment]
    return network.to(compute_device()).eval()


def target_scale(metadata: Mapping[str, str]) -> tuple[float, float]:
    """Mean and standard deviation of the training scans' values, from the `metadata` of weights."""
    return float(metadata.get("target_mean", 0.0)), float(metadata.get("target_sd", 1.0))


def divisor_of(network: nn.Module) -> Size3:
    """Divisor (D, H, W) of the sizes of inputs of a network; 1 for a network without the attribute."""
    return getattr(network, "divisor", (1, 1, 1))


@torch.inference_mode()
def predict_probabilities(
    network: nn.Module, image: Tensor, patch: Sequence[int], copies: Sequence[Copy] = (), precision: str = "auto"
) -> Tensor:
    """Class probabilities of each voxel.

    A volume of up to two patches is predicted as a whole, padded to the size of the patch and to a multiple of the
    network's divisor. A larger volume is padded to the size of the patch and predicted by a sliding window of one patch
    with half overlap and Gaussian weights (MONAI).

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, on the device of the prediction. Its attribute ``divisor``, if present, divides the sizes of
        inputs.
    image : Tensor, (C, D, H, W)
        Preprocessed scan.
    patch : 3 ints
        Patch (D, H, W) of the network's training.
    copies : sequence of Copy
        Further copies; the result is the mean over the volume and these copies, where they cover a voxel.
    precision : str
        As in the training settings.

    Returns
    -------
    Tensor, (K, D, H, W), float32
        On the CPU.
    """
    device = device_of(network)

    def forward(x: Tensor) -> Tensor:
        with autocast(precision, device):
            return network(x).float()

    shape = image.shape[1:]
    size = [max(n, p) for n, p in zip(shape, patch, strict=True)]
    divisible = rounded_up(size, divisor_of(network))
    whole = prod(divisible) <= WHOLE_VOLUME * prod(patch)
    if whole:
        size = list(divisible)
    centred = centred_start(shape, size)
    total, covered = torch.zeros((), device=device), torch.zeros((), device=device)
    for axes, shift in (((), (0, 0, 0)), *copies):
        start, flips = [c + s for c, s in zip(centred, shift, strict=True)], [axis + 2 for axis in axes]
        x = crop_or_pad(image, start, size)[None].to(device).flip(flips)
        found = (forward(x) if whole else _slide(forward, x, patch)).flip(flips).softmax(1)
        back = [-s for s in start]
        total = total + crop_or_pad(found[0], back, shape)
        covered = covered + crop_or_pad(torch.ones(size, device=device), back, shape)
    return (total / covered).cpu()


def apply_padded(network: nn.Module, x: Tensor) -> Tensor:
    """Output of a network for x (B, C, D, H, W) of any size, padded with zeros to a multiple of the divisor."""
    divisor, shape = divisor_of(network), x.shape[-3:]
    if not any(n % d for n, d in zip(shape, divisor, strict=False)):
        return network(x)
    size = rounded_up(shape, divisor)
    start = centred_start(shape, size)
    y: Tensor = network(crop_or_pad(x, start, size))
    return crop_or_pad(y, [-s for s in start], shape) if y.ndim == x.ndim else y


def _slide(forward: Callable[[Tensor], Tensor], x: Tensor, patch: Sequence[int]) -> Tensor:
    """Sliding window over (1, C, D, H, W); MONAI is imported only for large volumes."""
    from monai.inferers import sliding_window_inference

    return sliding_window_inference(x, tuple(patch), 1, forward, overlap=OVERLAP, mode="gaussian")


@torch.inference_mode()
def predict_vectors(
    network: nn.Module, inputs: Sequence[Tensor], patch: Sequence[int], precision: str = "auto"
) -> Tensor:
    """Logits of the classes, or values in the units of the target (standardised during the training).

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, on the device of the prediction.
    inputs : sequence of Tensor, (C, D, H, W) or (T, C, D, H, W)
        Cropped or padded to the patch around their centre.
    patch : 3 ints
        (D, H, W).
    precision : str
        As in the training settings.

    Returns
    -------
    Tensor, (B, K), float32
        On the CPU.
    """
    device = device_of(network)
    x = torch.stack([crop_or_pad(x, centred_start(x.shape[-3:], patch), patch) for x in inputs]).to(device)
    with autocast(precision, device):
        values = network(x).float().cpu()
    mean, sd = getattr(network, "target_scale", (0.0, 1.0))
    return values * sd + mean
