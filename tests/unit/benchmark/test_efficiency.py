import math

import pandas as pd
import pytest

from voxnas.arch.families.linear import Linear
from voxnas.benchmark.efficiency import _score_at, efficiency, has_efficiency, is_comparison
from voxnas.io.records import read_json, write_json
from voxnas.report.figures import draw_figures
from voxnas.report.html import render_report


def curve(seed, *points):
    return pd.DataFrame([{"seed": seed, "samples": s, "cpu_seconds": s / 10, "score": v} for s, v in points])


def as_comparison(paths, write_benchmark):
    """Turn a study into a comparison of networks without a search, with its benchmark."""
    record = read_json(paths.finalists)
    write_json(paths.finalists, {**record, "searches": {}})
    write_benchmark(paths)
    for number, network in enumerate(record["networks"]):
        for seed in range(2):
            file = paths.seed(network["key"], seed) / "run.json"
            write_json(file, {**read_json(file), "cpu_seconds": 10.0 * (number + 1)})
    return paths


def test_scores_are_read_between_the_marks_and_never_before_the_first():
    curves = pd.concat([curve(0, (100, 0.5), (200, 0.7)), curve(1, (100, 0.6), (200, 0.8))])
    found = _score_at(curves, "samples", 150, "samples")
    assert found["equal_samples"] == 150
    assert found["score_equal_samples"] == pytest.approx(0.65)
    assert found["sd_equal_samples"] == pytest.approx(0.1 / math.sqrt(2))
    assert _score_at(curves, "cpu_seconds", 20.0, "time")["score_equal_time"] == pytest.approx(0.75)
    assert math.isnan(_score_at(curves, "samples", 50, "samples")["score_equal_samples"])
    assert math.isnan(_score_at(curves, "samples", 201, "samples")["score_equal_samples"])


def test_a_searched_study_is_no_comparison(fake_segmentation, write_benchmark):
    assert not is_comparison(fake_segmentation)
    assert is_comparison(as_comparison(fake_segmentation, write_benchmark))


def test_each_network_has_its_row_and_its_difference_to_the_first(fake_study, write_benchmark):
    table, curves = efficiency(as_comparison(fake_study, write_benchmark))
    table = table.set_index("name")
    assert list(table.index) == ["bayesian-1", "random-1", "small"]
    # Without a calibration, the CPU time of the whole training is used: 10, 20 and 30 s for 100 samples.
    assert table.train_ms_per_sample.tolist() == [100, 200, 300]
    assert table.equal_samples.eq(100).all() and table.equal_cpu_seconds.eq(10).all()
    assert table.score_equal_time.iloc[0] == pytest.approx(table.score_equal_samples.iloc[0])
    assert math.isnan(table.score_equal_time.iloc[2])  # a third of the samples, before the first validation
    assert math.isnan(table.difference.iloc[0]) and table.difference.iloc[1:].notna().all()
    assert not (table.difference_low > table.difference_high).any()
    assert table.energy_inference_j.isna().all()
    assert len(curves) == 3 * 2 * 2 and set(curves.seed) == {0, 1}


@pytest.mark.parametrize("task", ["classification", "regression"])  # a segmentation has no linear model
def test_a_study_of_linear_models_alone_has_its_report(new_fake_study, tmp_path, write_benchmark, task):
    """The records of the networks become linear models; figures and page are made without an efficiency section."""
    fake_study = new_fake_study(tmp_path / "fake", task)
    record = read_json(fake_study.finalists)
    outputs = 1 if task == "regression" else 2
    linear = Linear(in_channels=1, out_channels=outputs).plain()
    networks = [{**n, "architecture": linear, "source": "linear"} for n in record["networks"]]
    write_json(fake_study.finalists, {**record, "searches": {}, "networks": networks})
    write_benchmark(fake_study)
    assert is_comparison(fake_study) and not has_efficiency(fake_study)
    draw_figures(fake_study, fake_study.figures)
    page = render_report(fake_study)
    assert "<h2>Efficiency</h2>" not in page and "<h2>Search</h2>" not in page
