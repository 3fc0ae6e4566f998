import math

import pytest
import torch
from torch import nn

from voxnas.core.errors import UserError
from voxnas.data.dataset import StudyData
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.metrics import Validation, dice_per_label
from voxnas.training.targets import Targets


def test_dice_by_hand():
    label = torch.tensor([0, 0, 1, 1, 1, 2]).view(1, 2, 3)
    prediction = torch.tensor([0, 1, 1, 1, 0, 0]).view(1, 2, 3)
    one, two, three = dice_per_label(prediction, label, 4)
    assert one == pytest.approx(4 / 6)
    assert two == 0
    assert math.isnan(three)


class Threshold(nn.Module):
    """Finds the bright ball of the test scans perfectly."""

    def forward(self, x):
        return torch.cat([1.5 - x, x - 1.5], 1) * 50


class Mean(nn.Module):
    """Answers with the image's mean in one or two outputs."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, x):
        mean = x.mean((2, 3, 4))
        return mean if self.outputs == 1 else torch.cat([-mean, mean], 1)


def make_validation(paths):
    data = StudyData(paths)
    targets = Targets.of(data, data.train_scans(0))
    return Validation(data, data.development_scans(), targets, "float32"), targets


def test_segmentation_score(study):
    validate, _ = make_validation(study)
    network = Threshold().train()
    score, metrics = validate(network, SingleBackend())
    assert metrics == {"dice_1": score}
    assert score > 0.9
    assert network.training


def test_ranks_share_the_scans_and_sum_to_the_whole(study):
    validate, _ = make_validation(study)
    whole, _ = validate(Threshold(), SingleBackend())

    class Half(SingleBackend):
        size = 2

        def __init__(self, rank, others):
            self.rank, self.others = rank, others

        def sum(self, values):
            self.others.append(values)
            return sum(self.others)

    rows = []
    validate(Threshold(), Half(0, rows))
    assert validate(Threshold(), Half(1, rows))[0] == whole


def test_a_fold_of_one_class_is_refused(new_study):
    validate, _ = make_validation(new_study("classification"))
    validate.check(0)
    validate.samples = [sample for sample in validate.samples if sample.target == "atrophy"]
    with pytest.raises(UserError, match="fold 3 has only the class 'atrophy'"):
        validate.check(3)


def test_classification_and_regression_scores(new_study):
    validate, _ = make_validation(new_study("classification"))
    score, metrics = validate(Mean(2), SingleBackend())
    assert metrics["auc"] == score == 0.0  # brighter is the first class, atrophy
    assert set(metrics) == {"auc", "accuracy", "balanced_accuracy"}
    validate, targets = make_validation(new_study("regression"))
    score, metrics = validate(Mean(1), SingleBackend())
    assert metrics["mae"] == -score > 0
    assert 50 < targets.mean < 62 and metrics["r"] > 0.9
