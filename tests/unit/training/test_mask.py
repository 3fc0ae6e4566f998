import pytest
import torch
from torch import nn

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.training.mask import Mask, read_mask, write_mask

HALF = torch.tensor([[1, 0, 1, 0, 1], [0, 1, 0, 1, 0]], dtype=torch.uint8)


def test_masked_weights_are_zero_and_the_others_stay(tmp_path):
    network, paths = nn.Linear(5, 2), StudyPaths(tmp_path)
    before = network.weight.detach().clone()
    read_mask(paths, write_mask(paths, {"weight": HALF}), network).apply()
    assert torch.equal(network.weight, before * HALF)
    assert (network.weight == 0).sum() == 5


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": HALF[:, :4]}, r"weight, \(2, 4\): no parameter"),
        ({"scale": HALF}, "scale, .*no parameter"),
        ({"weight": 2 * HALF}, "uint8 up to 2 is not 0 and 1"),
        ({"weight": HALF.float()}, "float32 up to 1.0 is not 0 and 1"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(tensors, message):
    with pytest.raises(UserError, match=message):
        Mask(tensors, nn.Linear(5, 2))


def test_a_changed_file_is_refused(tmp_path):
    paths = StudyPaths(tmp_path)
    name, other = (write_mask(paths, {"weight": mask}) for mask in (HALF, 1 - HALF))
    paths.mask(other).rename(paths.mask(name))
    with pytest.raises(UserError, match="does not have the digest in its name"):
        read_mask(paths, name, nn.Linear(5, 2))
