import math

import numpy as np
import pytest

from voxnas.benchmark.metrics import classification_scores, regression_scores, segmentation_scores


def _cube(shape, start, size, label=1):
    volume = np.zeros(shape, np.uint8)
    volume[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))] = label
    return volume


def test_a_perfect_map_scores_one():
    truth = _cube((12, 12, 12), (3, 3, 3), (5, 5, 5))
    assert segmentation_scores(truth, truth, [1], (1, 1, 1), 1.0) == {
        "dice": 1, "nsd": 1, "hd95_mm": 0, "dice_1": 1, "nsd_1": 1, "hd95_mm_1": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("axis", "spacing", "distance"), [(0, (2, 1, 1), 4), (1, (2, 1, 1), 2), (2, (1, 1, 3), 6)])
def test_distances_are_in_mm_along_each_axis(axis, spacing, distance):
    start = [4, 4, 4]
    truth = _cube((16, 16, 16), start, (6, 6, 6))
    start[axis] += 2
    moved = _cube((16, 16, 16), start, (6, 6, 6))
    scores = segmentation_scores(moved, truth, [1], spacing, 1.0)
    assert scores["dice"] == pytest.approx(2 * 4 * 36 / (2 * 216))
    assert scores["hd95_mm"] == pytest.approx(distance)
    assert scores["nsd"] < segmentation_scores(moved, truth, [1], spacing, distance)["nsd"] == 1


def test_labels_are_scored_apart_and_averaged():
    truth = _cube((10, 10, 10), (1, 1, 1), (4, 4, 4), 1) + _cube((10, 10, 10), (6, 6, 6), (2, 2, 2), 2)
    prediction = np.where(truth == 1, 1, 0)
    scores = segmentation_scores(prediction, truth, [1, 2], (1, 1, 1), 1.0)
    assert (scores["dice_1"], scores["dice_2"], scores["dice"]) == (1, 0, 0.5)
    assert scores["nsd_2"] == 0 and scores["hd95_mm_1"] == 0


def test_a_missed_label_counts_with_the_diagonal_of_the_image():
    truth = _cube((10, 8, 6), (1, 1, 1), (2, 2, 2), 1) + _cube((10, 8, 6), (6, 4, 3), (2, 2, 2), 2)
    moved = np.roll(truth, 1, axis=0)
    diagonal = math.hypot(10 * 1, 8 * 2, 6 * 3)
    missed, found = (segmentation_scores(m, truth, [1, 2], (1, 2, 3), 1.0) for m in (np.where(moved == 1, 1, 0), moved))
    assert missed["hd95_mm_2"] == pytest.approx(diagonal)
    assert (
        missed["hd95_mm"] == pytest.approx((found["hd95_mm_1"] + diagonal) / 2) and missed["hd95_mm"] > found["hd95_mm"]
    )
    # An invented label is as wrong as a missed one.
    assert segmentation_scores(truth, np.where(truth == 1, 1, 0), [2], (1, 2, 3), 1.0)["hd95_mm"] == pytest.approx(
        diagonal
    )


def test_a_label_absent_from_both_is_right():
    empty = np.zeros((4, 4, 4), np.uint8)
    scores = segmentation_scores(empty, empty, [1], (1, 1, 1), 1.0)
    assert scores["dice"] == scores["nsd"] == 1 and scores["hd95_mm"] == 0


def test_the_box_changes_no_score():
    truth, prediction = _cube((30, 30, 30), (0, 12, 26), (4, 4, 4)), _cube((30, 30, 30), (1, 13, 25), (4, 4, 4))
    padded = [np.pad(m, 5) for m in (prediction, truth)]
    small, large = (segmentation_scores(p, t, [1], (1, 1, 2), 1.0) for p, t in ((prediction, truth), padded))
    assert small["dice"] == large["dice"]


def test_classification():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]])
    scores = classification_scores(np.array([0, 0, 1, 1]), probabilities)
    assert scores == {"auc": 1.0, "accuracy": 0.75, "balanced_accuracy": 0.75}


def test_regression():
    scores = regression_scores(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0]))
    assert scores["mae"] == 1 and scores["rmse"] == pytest.approx(math.sqrt(3)) and scores["r2"] == -3.5
