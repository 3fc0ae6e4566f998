import math

import pytest
import torch
import torch.nn.functional as F

from voxnas.training.losses import LOSSES, cross_entropy, focal, soft_dice, soft_jaccard, supervised


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randn(3, 4, 4, 6, 4), torch.randint(0, 4, (3, 4, 6, 4))


def test_dice_is_zero_for_the_truth_and_one_for_its_opposite():
    label = torch.randint(0, 2, (2, 4, 4, 4))
    logits = 40.0 * torch.stack([1 - label, label], 1)
    assert torch.allclose(soft_dice(logits, label), torch.zeros(2), atol=1e-4)
    assert torch.allclose(soft_dice(-logits, label), torch.ones(2), atol=1e-4)


def test_dice_by_hand():
    # p(1) = 1/2 everywhere, 2 of 8 voxels labelled: 2 * 1 / (4 + 2) = 1/3.
    label = torch.zeros(1, 2, 2, 2, dtype=torch.long)
    label[0, 0, 0] = 1
    assert soft_dice(torch.zeros(1, 2, 2, 2, 2), label).item() == pytest.approx(2 / 3, abs=1e-4)


def test_jaccard_by_hand_and_from_dice(batch):
    # As above: the intersection is 1, the union 4 + 2 - 1.
    label = torch.zeros(1, 2, 2, 2, dtype=torch.long)
    label[0, 0, 0] = 1
    assert soft_jaccard(torch.zeros(1, 2, 2, 2, 2), label).item() == pytest.approx(1 - 1 / 5, abs=1e-4)
    logits, label = batch[0][:, :2], batch[1] % 2  # of one label, J = D / (2 - D)
    dice = 1 - soft_dice(logits, label)
    torch.testing.assert_close(1 - soft_jaccard(logits, label), dice / (2 - dice), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["dice_ce", "dice_focal", "jaccard_ce"])
def test_empty_label_is_finite_with_gradients(name):
    logits = torch.randn(2, 3, 4, 4, 4, requires_grad=True)
    loss = LOSSES[name](logits, torch.zeros(2, 4, 4, 4, dtype=torch.long)).mean()
    loss.backward()
    assert math.isfinite(loss.item()) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", ["dice_ce", "dice_focal", "jaccard_ce"])
def test_each_sample_has_its_own_loss(name, batch):
    logits, label = batch
    together = LOSSES[name](logits, label)
    alone = torch.cat([LOSSES[name](logits[i : i + 1], label[i : i + 1]) for i in range(3)])
    assert together.shape == (3,)
    assert torch.allclose(together, alone, atol=1e-6)


def test_focal_is_below_cross_entropy(batch):
    assert (focal(*batch) < cross_entropy(*batch)).all()
    assert torch.allclose(cross_entropy(*batch).mean(), F.cross_entropy(*batch), atol=1e-6)


def test_deep_supervision_weights(batch):
    logits, label = batch
    half, quarter = torch.randn(3, 4, 2, 3, 2), torch.randn(3, 4, 1, 2, 1)
    half_label = F.interpolate(label[:, None].float(), size=(2, 3, 2), mode="nearest-exact")[:, 0].long()
    quarter_label = F.interpolate(label[:, None].float(), size=(1, 2, 1), mode="nearest-exact")[:, 0].long()
    loss = LOSSES["dice_ce"]
    parts = [loss(logits, label).mean(), loss(half, half_label).mean(), loss(quarter, quarter_label).mean()]
    expected = (4 * parts[0] + 2 * parts[1] + parts[2]) / 7
    assert torch.allclose(supervised(loss, [logits, half, quarter], label), expected)


def test_vectors():
    logits, classes = torch.randn(5, 3), torch.randint(0, 3, (5,))
    assert torch.allclose(supervised(LOSSES["ce"], logits, classes), F.cross_entropy(logits, classes))
    values = torch.tensor([[1.0], [3.0]])
    assert LOSSES["mse"](values, torch.tensor([0.0, 1.0])).tolist() == [1.0, 4.0]
