"""Linear baselines on all views: what is weighed, that nothing is lost in the space of the samples, inner folds."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from plans import input_view, limit, run_plan, volume_plan
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from voxnas.arch.baselines import BASELINES
from voxnas.arch.families.linear import Linear
from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.core.errors import UserError
from voxnas.core.plan import VolumePlan
from voxnas.data.dataset import StudyData
from voxnas.data.samples import Sample
from voxnas.io.records import read_plan
from voxnas.nn.linear import LinearModel
from voxnas.training import linear
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.linear import fit_linear, fit_weights, inner_folds
from voxnas.training.metrics import Validation
from voxnas.training.targets import Targets

PEOPLE, PER_PERSON = 10, 3


def made(samples=30, features=8, classes=2, noise=0.5, seed=0):
    """Features of which the first says the class or value, and the unit of each sample."""
    rng = np.random.default_rng(seed)
    units = [f"sub-{i // PER_PERSON}" for i in range(samples)]
    truth = np.arange(samples) // PER_PERSON % classes if classes else rng.normal(size=samples)
    x = rng.normal(0, noise, (samples, features)).astype(np.float32)
    x[:, 0] += 2 * truth
    return x, truth.astype(float), units


@dataclass
class Held:
    """Inputs in memory, asked for as those of a study are."""

    plan: VolumePlan
    inputs: list
    targets: list
    units: list

    def samples(self, scans):
        return [Sample(scan, None, self.targets[i], scan, self.units[i]) for i, scan in enumerate(scans)]

    def input(self, sample):
        return self.inputs[int(sample.scan)]


@pytest.mark.parametrize(
    ("fields", "shape", "count"),
    [
        ({}, (2, 1, 4, 6, 8), 2 * 3 * 4),
        ({"voxel_mm": 0}, (2, 1, 4, 6, 8), 4 * 6 * 8),
        ({"features": "volume"}, (2, 1, 4, 6, 8), 1),
        ({"view": "maps"}, (2, 2, 4, 6, 8), 2 * 2 * 3 * 4),
        ({"view": "clips", "voxel_mm": 0}, (2, 5, 1, 4, 6, 8), 5 * 4 * 6 * 8),
        ({"view": "clips"}, (2, 5, 1, 4, 6, 8), 5 * 2 * 3 * 4),
        ({"view": "series"}, (2, 7, 1, 1, 12), 7),
        ({"view": "connectivity"}, (2, 1, 1, 6, 6), 15),
    ],
    ids=str,
)
def test_what_is_weighed_and_how_much_it_is(fields, shape, count):
    from voxnas.arch.families import family_of

    channels = shape[1] if fields.get("view") != "clips" else shape[2]
    architecture = Linear(in_channels=channels, out_channels=3, **fields)
    plan = volume_plan("classification", shape[-3:], spacing=(4, 4, 4), frames=5)
    model = LinearModel(architecture, family_of(architecture).input_size(architecture, plan))
    x = torch.randn(shape)
    assert model.features(x).shape == (2, count)
    assert model(x).shape == (2, 3)
    again = LinearModel.empty(architecture, model.state_dict())
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(x), model(x))


def test_of_clips_each_volume_of_matrices_the_pairs_of_scans_the_voxels():
    clip = torch.randn(1, 6, 1, 5, 2, 2)
    model = LinearModel(Linear(in_channels=1, out_channels=1, view="clips", voxel_mm=0), (30, 2, 2))
    assert torch.equal(model.features(clip)[0], clip.flatten())
    coarse = LinearModel(Linear(in_channels=1, out_channels=1, view="clips"), (12, 1, 1))
    alone = LinearModel(Linear(in_channels=1, out_channels=1), (2, 1, 1))
    assert torch.allclose(coarse.features(clip)[0], alone.features(clip[0]).flatten(), atol=1e-6)
    matrix = torch.arange(9.0).reshape(1, 1, 1, 3, 3)
    model = LinearModel(Linear(in_channels=1, out_channels=1, view="connectivity"), (1, 1, 3))
    assert model.features(matrix)[0].tolist() == [1, 2, 5]
    scan = torch.zeros(1, 1, 4, 4, 4)
    scan[0, 0, :2, :3, 1] = -0.5
    model = LinearModel(Linear(in_channels=1, out_channels=1, features="volume"), (1, 1, 1))
    assert model.features(scan).tolist() == [[6.0]]


@pytest.mark.parametrize("features", [8, 200])
@pytest.mark.parametrize(
    ("name", "classes", "estimator"),
    [
        ("ridge", 0, Ridge(alpha=1.0)),
        ("ridge", 3, RidgeClassifier(alpha=1.0)),
        ("logistic", 3, LogisticRegression(max_iter=2000)),
    ],
    ids=str,
)
def test_in_the_space_of_the_samples_it_is_the_model_itself(features, name, classes, estimator):
    x, truth, _ = made(features=features, classes=classes)
    weight, bias = fit_weights(x, truth, name, classes, [])
    pipeline = make_pipeline(StandardScaler(), estimator).fit(x.astype(float), truth)
    expected = pipeline.decision_function(x) if classes else pipeline.predict(x)
    found = x @ weight.T + bias
    assert np.allclose(found if classes else found[:, 0], expected, atol=2e-3)


@pytest.mark.parametrize("name", ["ridge", "logistic", "svm"])
def test_probabilities_fit_what_was_left_out(name):
    x, truth, units = made(samples=90, features=120, noise=2.0)
    folds = inner_folds(truth, units, 2, 0)
    weight, bias = fit_weights(x[:60], truth[:60], name, 2, inner_folds(truth[:60], units[:60], 2, 0))
    probability = torch.softmax(torch.from_numpy(x[60:] @ weight.T + bias), 1)[:, 1].numpy()
    right = np.where(truth[60:] == 1, probability, 1 - probability)
    assert -np.log(right).mean() < 0.75 and len(folds) == 5  # not sure of itself where it cannot be
    assert ((probability > 0.5) == truth[60:]).mean() > 0.5


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_inner_folds_keep_units_whole(classes):
    _, truth, units = made(samples=60, classes=classes)
    folds = inner_folds(truth, units, classes, 3)
    assert sorted(np.concatenate([out for _, out in folds])) == list(range(60))
    for training, left_out in folds:
        assert not {units[i] for i in training} & {units[i] for i in left_out}
        assert not classes or set(truth[training]) == set(truth)


def test_a_class_of_one_unit_leaves_nothing_to_choose_by():
    truth = np.array([0, 0, 1, 1, 2, 2])
    assert inner_folds(truth, ["a", "b", "a", "b", "c", "c"], 3, 0) == []
    x, _, _ = made(samples=6)
    weight, _ = fit_weights(x, truth, "ridge", 3, [])
    assert weight.shape == (3, 8) and np.isfinite(weight).all()


def test_a_class_that_a_fold_leaves_out_is_not_judged_there():
    x, truth, _ = made(samples=30, classes=3)
    whole = np.flatnonzero(truth == 2)
    folds = [(np.flatnonzero(truth != 2), whole), (np.arange(20), np.arange(20, 30))]
    weight, bias = fit_weights(x, truth, "ridge", 3, folds)
    assert ((x @ weight.T + bias).argmax(1) == truth).mean() > 0.8


def test_features_are_standardised_inside_the_training_folds(monkeypatch):
    """A fold that is left out has no part in the mean or scale of the features."""
    x, truth, units = made(samples=30, features=50)
    folds = inner_folds(truth, units, 2, 0)
    seen = []
    original = linear._Space.of.__func__
    monkeypatch.setattr(
        linear._Space, "of", classmethod(lambda cls, part: seen.append(len(part)) or original(cls, part))
    )
    fit_weights(x, truth, "ridge", 2, folds)
    assert seen == [*(len(training) for training, _ in folds), 30]


@pytest.mark.parametrize(("name", "task"), [("svm", "regression"), ("ridge", "classification"), ("auto", "regression")])
def test_correlations_that_carry_the_target_are_found(name, task):
    rng = np.random.default_rng(1)
    matrices, targets, units = [], [], []
    for i in range(24):
        matrix = rng.normal(0, 0.3, (6, 6)).astype(np.float32)
        matrix = matrix + matrix.T
        matrix[1, 4] = matrix[4, 1] = i % 2 + 0.1 * rng.normal()
        matrices.append(torch.from_numpy(matrix)[None, None])
        targets.append(["a", "b"][i % 2] if task == "classification" else str(20 + 10 * (i % 2)))
        units.append(f"site-{i // 4}")
    plan = run_plan({"connectivity": input_view((1, 8, 8))}, task)  # two further rows and columns of zeros
    coding = Targets(task, ("a", "b")) if task == "classification" else Targets(task, mean=25, sd=5)
    held = Held(plan, matrices, targets, units)
    architecture = Linear(
        in_channels=1, out_channels=2 if task == "classification" else 1, view="connectivity", model=name
    )
    model = fit_linear(architecture, held, [str(i) for i in range(24)], coding, 0)
    padded = torch.nn.functional.pad(torch.stack(matrices), (1, 1, 1, 1))
    with torch.inference_mode():
        found = model(padded)
    truth = torch.arange(24) % 2
    right = (found.argmax(1) == truth) if task == "classification" else ((found[:, 0] > 0) == truth.bool())
    assert right.float().mean() > 0.9


def test_one_class_alone_is_an_error():
    held = Held(volume_plan("classification", (2, 2, 2)), [torch.zeros(1, 2, 2, 2)] * 4, ["a"] * 4, list("abcd"))
    with pytest.raises(UserError, match="all 4 training samples have the target 'a'"):
        fit_linear(Linear(in_channels=1, out_channels=2), held, list("0123"), Targets("classification", ("a", "b")), 0)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("connectivity-ridge", "run"),
        ("connectivity-svm", "participant"),
        ("maps-ridge", "run"),
        ("voxel-ridge", "volume"),
    ],
)
def test_baselines_on_runs_are_fitted_applied_and_scored(timed_study, name, unit):
    paths = timed_study(unit)
    architecture, _ = BASELINES[name](read_plan(paths.plan), limit())
    data = StudyData(paths, architecture.view)
    scans = data.development_scans()
    targets = Targets.of(data, scans)
    model = fit_linear(architecture, data, scans, targets, 0)
    assert model.linear.weight.shape == (2, analyze(architecture, input_size(architecture, data.plan)).macs // 2)
    score, metrics = Validation(data, scans, targets, "float32")(model, SingleBackend())
    assert 0 <= score <= 1 and np.isfinite(list(metrics.values())).all()
