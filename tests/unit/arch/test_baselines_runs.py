"""Baselines on the views of a run: networks and linear models."""

import pytest
from plans import input_view, limit, run_plan, volume_plan

from voxnas.arch.baselines import BASELINES, baselines_for
from voxnas.arch.families.linear import Linear
from voxnas.arch.views import input_shape, input_size
from voxnas.complexity.analytic import analyze
from voxnas.core.architecture import parse_architecture
from voxnas.core.errors import UserError

VIEWS = {
    "clips": input_view((8, 12, 8), frames=8),
    "maps": input_view((16, 24, 16), channels=2),
    "series": input_view((1, 1, 64), channels=30, spacing=(1, 1, 1)),
    "connectivity": input_view((1, 32, 32), spacing=(1, 1, 1)),
}
OF_RUNS = [name for name in BASELINES if BASELINES[name].view]


def plan(unit="run", task="classification", views=tuple(VIEWS)):
    return run_plan({name: VIEWS[name] for name in views}, task, unit)


@pytest.mark.parametrize(("name", "task"), [(name, task) for name in OF_RUNS for task in BASELINES[name].tasks])
def test_each_reads_its_view_and_keeps_the_limits(name, task):
    baseline = BASELINES[name]
    whole = plan(baseline.units[-1], task)
    architecture, recipe = baseline(whole, limit(60_000))
    assert architecture.view == baseline.view
    assert parse_architecture(architecture.plain()) == architecture
    cost = analyze(architecture, input_size(architecture, whole))
    assert cost.parameters <= 60_000 and cost.macs > 0
    assert baseline.fitted == isinstance(architecture, Linear)
    assert recipe.mirror == "none" and recipe.loss == ("ce" if task == "classification" else "mse")
    if baseline.view in ("series", "connectivity"):
        assert recipe.spatial == recipe.intensity == 0
    channels = VIEWS[baseline.view].channels
    assert channels in input_shape(architecture, whole, 3)[1:3] and architecture.in_channels == channels


def test_a_study_has_the_baselines_of_its_views_and_unit():
    def auto(*views, unit="run", task="classification"):
        return [n for n in baselines_for(task, views, unit) if BASELINES[n].scaled]

    assert auto("connectivity") == [
        "connectivity-cnn", "connectivity-logistic", "connectivity-ridge", "connectivity-svm"
    ]  # fmt: skip
    assert auto("connectivity", task="regression") == ["connectivity-cnn", "connectivity-ridge", "connectivity-svm"]
    assert auto("clips", "maps") == ["cnn-gru", "maps-ridge", "maps-sfcn"]
    assert auto("clips", "connectivity", unit="volume") == ["cnn-gru", "voxel-ridge"]


def test_what_a_study_lacks_is_named():
    with pytest.raises(UserError, match=r"reads the view 'connectivity'.*prepares clips") as error:
        BASELINES["connectivity-ridge"](plan(views=("clips",)), limit())
    assert "clips.views" in str(error.value)
    with pytest.raises(UserError, match=r"answers for a volume, and clips\.unit is 'run'"):
        BASELINES["voxel-ridge"](plan("run"), limit())
    with pytest.raises(UserError, match="`linear` reads volumes"):
        BASELINES["linear"](plan(views=("clips",)), limit())
    assert BASELINES["linear"](plan(views=("clips", "maps")), limit())[0].view == "maps"


def test_voxels_are_averaged_only_where_they_are_too_many():
    whole = plan("volume")
    assert BASELINES["voxel-ridge"](whole, limit())[0].voxel_mm == 0
    fine = run_plan({"clips": input_view((64, 80, 64), frames=8, spacing=(2, 2, 2))}, unit="volume")
    architecture, _ = BASELINES["voxel-ridge"](fine, limit())
    assert 8 < architecture.voxel_mm < 9.5
    assert analyze(architecture, input_size(architecture, fine)).macs < 70_000


def test_a_linear_record_says_only_what_differs():
    plain = Linear(in_channels=1, out_channels=2).plain()
    assert plain == {"family": "linear", "in_channels": 1, "out_channels": 2, "voxel_mm": 8.0}
    one = {"in_channels": 1, "out_channels": 2, "view": "connectivity"}
    assert Linear(**one, voxel_mm=3) == Linear(**one)
    volume, _ = BASELINES["volume"](volume_plan("regression"), limit())
    assert volume.features == "volume" and volume.voxel_mm == 8.0
