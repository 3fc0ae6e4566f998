"""Scores of classes agree with scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from voxnas.training.scores import auc, correlation, validation_scores


def test_auc_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 5, 50).astype(float), rng.integers(0, 2, 50)
    assert auc(scores, truth == 1) == pytest.approx(roc_auc_score(truth, scores))
    assert math.isnan(auc(scores, np.zeros(50, bool)))


@pytest.mark.parametrize("classes", [2, 3])
def test_validation_scores_agree_with_scikit_learn(classes):
    rng = np.random.default_rng(1)
    logits, truth = rng.normal(size=(60, classes)), rng.integers(0, classes, 60)
    found = validation_scores(logits, truth)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = roc_auc_score(truth, shares[:, 1] if classes == 2 else shares, multi_class="ovr")
    assert found["auc"] == pytest.approx(expected)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, logits.argmax(1)))
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, logits.argmax(1)))


def test_a_constant_prediction_correlates_with_nothing():
    rng = np.random.default_rng(2)
    truth = rng.normal(40, 10, 30)
    assert correlation(truth + 1, truth) == pytest.approx(1)
    assert correlation(np.full(30, 40.1), truth) == 0
    assert correlation(40.1 + 1e-7 * truth, truth) == 0  # rounding errors of a constant network
    assert math.isnan(correlation(truth, np.full(30, 40.1)))
