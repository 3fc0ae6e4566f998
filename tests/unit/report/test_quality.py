import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from plans import input_view, run_plan, volume_plan

from voxnas.core.paths import StudyPaths
from voxnas.core.settings import QualitySettings
from voxnas.data.fmri.quality import COLUMNS
from voxnas.io.records import write_json
from voxnas.io.tables import read_table, write_table
from voxnas.io.tensors import TensorWriter
from voxnas.report.quality import all_runs, chosen_runs, quality_figures

FRAMES = 30


@pytest.fixture
def study(tmp_path):
    """Five runs in two shards: one is excluded, and one has only a carpet."""
    paths = StudyPaths(tmp_path / "study")
    write_json(paths.plan, run_plan({"clips": input_view((8, 8, 8), frames=4)}))
    rng = np.random.default_rng(0)
    for shard in range(2):
        runs = [f"run-{n}" for n in range(5) if n % 2 == shard]
        rows = [
            {"scan": r, "mean_fd_mm": 0.1 * (1 + int(r[-1])), "tsnr": 50.0, "seconds": 60.0, "excluded": None}
            for r in runs
        ]
        if shard == 0:
            rows[-1]["excluded"] = "mean framewise displacement 0.5 mm, at most 0.4"
        table = pd.DataFrame(rows, columns=["scan", *COLUMNS, "excluded"])
        write_table(paths.runs(shard) / "quality.tsv", table)
        with TensorWriter(paths.runs(shard) / "quality.safetensors") as writer:
            for run in runs:
                carpet = rng.normal(500, 5, (12, FRAMES)).astype(np.float32)
                carpet[0] = 7  # constant
                writer.add(f"{run}/carpet", carpet)
                if run != "run-0":
                    writer.add(f"{run}/dvars", rng.random(FRAMES).astype(np.float32))
                    writer.add(f"{run}/displacement", rng.random(FRAMES).astype(np.float32))
                    writer.add(f"{run}/mean", rng.random((3, 6, 5)).astype(np.float32))
                    writer.add(f"{run}/brain", (rng.random((3, 6, 5)) > 0.5).astype(np.uint8))
    return paths


def test_each_figure_is_an_svg_with_its_table(study, tmp_path):
    for folder in ("a", "b"):
        assert quality_figures(study, tmp_path / folder) == ["quality", "quality_runs"]
    for name in ("quality", "quality_runs"):
        assert ET.parse(tmp_path / "a" / f"{name}.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
        for suffix in (".svg", ".tsv"):
            a, b = ((tmp_path / f / f"{name}{suffix}").read_bytes() for f in "ab")
            assert a == b
    drawn = read_table(tmp_path / "a" / "quality.tsv", {"scan": str})
    assert drawn["scan"].tolist() == ["run-4", "run-2", "run-0"]
    assert "excluded: mean framewise" in (tmp_path / "a" / "quality.svg").read_text()
    everyone = read_table(tmp_path / "a" / "quality_runs.tsv", {"scan": str})
    assert everyone.columns.tolist() == ["scan", "mean_fd_mm", "tsnr", "seconds", "excluded"] and len(everyone) == 5


def test_a_study_of_volumes_has_none(study, tmp_path):
    write_json(study.plan, volume_plan())
    assert quality_figures(study, tmp_path / "a") == [] and not (tmp_path / "a").exists()


def test_runs_are_spread_from_the_one_that_moved_most():
    table = pd.DataFrame({"scan": list("abcde"), "mean_fd_mm": [0.1, 0.5, 0.3, 0.2, 0.4], "mean_dvars": 1.0})
    assert chosen_runs(table, 3)["scan"].tolist() == ["b", "c", "a"]
    still = table.assign(mean_fd_mm=np.nan, mean_dvars=[3, 1, 2, 5, 4])
    assert chosen_runs(still, 2)["scan"].tolist() == ["d", "b"]
    assert chosen_runs(table, 9)["scan"].tolist() == ["b", "e", "c", "d", "a"]


@pytest.mark.parametrize(("runs", "bars"), [(20, 0), (639, 30)])
def test_many_runs_are_a_histogram(runs, bars):
    table = pd.DataFrame({"scan": map(str, range(runs)), "tsnr": np.linspace(1, 9, runs), "excluded": None})
    figure, _ = all_runs(table.reindex(columns=["scan", *COLUMNS, "excluded"]), QualitySettings())
    (axes,) = figure.axes
    assert len(axes.patches) == bars and any(len(line.get_xdata()) == runs for line in axes.lines) == (not bars)
