"""Losses of each sample of a batch in float32, and their mean.

Each sample has a loss of its own, so that the processes of a distributed training can weight unequal shares of a batch
exactly.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTH = 1e-5
FOCAL_GAMMA = 2.0
SampleLoss = Callable[[Tensor, Tensor], Tensor]


def soft_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Soft Dice loss of each sample, averaged over all classes except the background.

    As in nnU-Net (Isensee et al. 2021), but per sample: ``1 - (2 sum(p y) + s) / (sum(p) + sum(y) + s)``
    with ``s = 1e-5``, which is finite for absent classes.

    Parameters
    ----------
    logits : Tensor, (B, K, D, H, W)
    label : Tensor, (B, D, H, W)

    Returns
    -------
    Tensor, (B,)
    """
    overlap, total = _overlap(logits, label)
    return 1 - ((2 * overlap + SMOOTH) / (total + SMOOTH)).mean(1)


def soft_jaccard(logits: Tensor, label: Tensor) -> Tensor:
    """Soft Jaccard loss (B,) of logits (B, K, D, H, W) and label (B, D, H, W), as :func:`soft_dice`.

    ``1 - (sum(p y) + s) / (sum(p) + sum(y) - sum(p y) + s)``; the loss of SCNAS (Kim et al. 2019, MICCAI).
    """
    overlap, total = _overlap(logits, label)
    return 1 - ((overlap + SMOOTH) / (total - overlap + SMOOTH)).mean(1)


def _overlap(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the products, and sum of the sums, of probabilities and truth: (B, K - 1) without the background."""
    probabilities = logits.softmax(1)[:, 1:].flatten(2)
    # The comparison is several times faster than one_hot, which computes in int64.
    classes = torch.arange(1, logits.shape[1], device=label.device)
    truth = (label.flatten(1)[:, None] == classes[:, None]).to(probabilities.dtype)
    return (probabilities * truth).sum(2), probabilities.sum(2) + truth.sum(2)


def cross_entropy(logits: Tensor, label: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy (B,) of logits (B, K, ...) and label (B, ...), averaged over the voxels of each sample.

    With label `smoothing` (Szegedy et al. 2016) the true class has the weight ``1 - smoothing``, and all classes share
    the rest equally.
    """
    entropy = F.cross_entropy(logits, label, reduction="none", label_smoothing=smoothing)
    return entropy.flatten(1).mean(1) if entropy.ndim > 1 else entropy


def focal(logits: Tensor, label: Tensor) -> Tensor:
    """Focal loss (B,) of logits (B, K, D, H, W) and label (B, D, H, W) (Lin et al. 2017, gamma 2)."""
    entropy = F.cross_entropy(logits, label, reduction="none")
    return (entropy * (1 - torch.exp(-entropy)) ** FOCAL_GAMMA).flatten(1).mean(1)


def dice_ce(logits: Tensor, label: Tensor, smoothing: float = 0.0) -> Tensor:
    """Soft Dice plus cross-entropy (B,) with label `smoothing`, of logits (B, K, D, H, W) and label (B, D, H, W)."""
    return soft_dice(logits, label) + cross_entropy(logits, label, smoothing)


def dice_focal(logits: Tensor, label: Tensor) -> Tensor:
    """Soft Dice plus focal loss (B,) of logits (B, K, D, H, W) and label (B, D, H, W)."""
    return soft_dice(logits, label) + focal(logits, label)


def jaccard_ce(logits: Tensor, label: Tensor, smoothing: float = 0.0) -> Tensor:
    """Soft Jaccard plus cross-entropy (B,) with label `smoothing`, of logits (B, K, D, H, W) and label (B, D, H, W)."""
    return soft_jaccard(logits, label) + cross_entropy(logits, label, smoothing)


def squared_error(values: Tensor, target: Tensor) -> Tensor:
    """Squared error (B,) of values (B, 1) and target (B,)."""
    return (values[:, 0] - target) ** 2


LOSSES: dict[str, Callable[..., Tensor]] = {
    "dice_ce": dice_ce,
    "dice_focal": dice_focal,
    "jaccard_ce": jaccard_ce,
    "ce": cross_entropy,
    "mse": squared_error,
}
SMOOTHED = ("dice_ce", "jaccard_ce", "ce")  # losses with a cross-entropy, whose labels can be smoothed


def loss_function(name: str, smoothing: float = 0.0) -> SampleLoss:
    """Return the loss with a `name` in :data:`LOSSES`, with label `smoothing` if it has a cross-entropy."""
    return partial(LOSSES[name], smoothing=smoothing) if smoothing and name in SMOOTHED else LOSSES[name]


def supervised(loss: SampleLoss, outputs: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
    """Mean loss of a batch, with deep supervision for several outputs.

    Output i has half the resolution of output i - 1 and a weight proportional to 2 ** -i; the weights sum to 1. Its
    target is the nearest voxel of the label (Isensee et al. 2021).

    Parameters
    ----------
    loss : callable
        A value of :data:`LOSSES`.
    outputs : Tensor or sequence of Tensor
        Logits (B, K, ...), the full resolution first.
    target : Tensor
        (B, D, H, W) labels, (B,) classes or (B,) values.

    Returns
    -------
    Tensor, ()
    """
    if isinstance(outputs, Tensor):
        return loss(outputs.float(), target).mean()
    weights = [2.0**-i for i in range(len(outputs))]
    total = torch.zeros((), device=target.device)
    for weight, logits in zip(weights, outputs, strict=True):
        size = logits.shape[2:]
        matched = target
        if size != target.shape[1:]:
            matched = F.interpolate(target[:, None].float(), size=size, mode="nearest-exact")[:, 0].long()
        total = total + weight / sum(weights) * loss(logits.float(), matched).mean()
    return total
