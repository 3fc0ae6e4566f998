import xml.etree.ElementTree as ET

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from plans import THICK, staged

from voxnas.arch.families.cells import Cells
from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.hierarchical import Hierarchical
from voxnas.arch.families.linear import Linear
from voxnas.arch.families.reference import Reference
from voxnas.arch.families.unet import UNet
from voxnas.benchmark.leaderboard import read_leaderboard
from voxnas.benchmark.results import benchmark_spec
from voxnas.core.measures import MEASURES
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import read_table, write_table
from voxnas.report.cell_drawing import lay_out
from voxnas.report.drawing import draw_network
from voxnas.report.figures import best_so_far, draw_figures, learning_curves
from voxnas.report.front import cost_panel, front, pareto
from voxnas.report.identities import Identities
from voxnas.report.scans import chosen_scans
from voxnas.report.style import COLOURS, identity, new_figure
from voxnas.report.trials import trial_curves, trial_front

FIGURES = ["best_so_far", "trial_front", "front", "learning_curves", "leaderboard", "winner", "scans", "cases"]


def test_every_figure_is_an_svg_with_its_table(finished_study):
    files = {p.name for p in finished_study.figures.iterdir()} - {"viewer.json"}
    assert files == {f"{name}{suffix}" for name in FIGURES for suffix in (".svg", ".tsv")}
    for name in FIGURES:
        root = ET.parse(finished_study.figures / f"{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert len(read_table(finished_study.figures / f"{name}.tsv", {})) > 0
    history = read_table(finished_study.figures / "best_so_far.tsv", {"cost": float, "best": float})
    bayesian = history[history.search == "bayesian"]
    assert bayesian.cost.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8])  # measured minutes
    assert bayesian.best.notna().all()


def test_figures_are_equal_when_drawn_twice(fake_segmentation, write_benchmark, tmp_path):
    write_benchmark(fake_segmentation)
    for folder in ("a", "b"):
        assert draw_figures(fake_segmentation, tmp_path / folder) == FIGURES
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_the_name_of_a_label_is_text_and_not_mathematics(fake_segmentation, write_benchmark, tmp_path):
    write_benchmark(fake_segmentation)
    plan = read_json(fake_segmentation.plan)
    write_json(fake_segmentation.plan, plan | {"labels": plan["labels"] | {"2": r"a_$\frac$1"}})
    assert draw_figures(fake_segmentation, tmp_path) == FIGURES
    assert r"a_$\frac$1" in (tmp_path / "scans.svg").read_text()


def test_the_front_holds_what_nothing_dominates():
    cost, score = np.array([1.0, 2, 3, 4]), np.array([0.5, 0.7, 0.6, 0.8])
    assert pareto(cost, score, 1).tolist() == [True, True, False, True]
    assert pareto(cost, score, -1).tolist() == [True, False, False, False]
    assert pareto(np.array([1.0, 1]), np.array([0.5, 0.5]), 1).all()


def test_scans_are_spread_from_worst_to_best():
    table = pd.DataFrame({"scan": list("abcde"), "dice": [0.9, 0.1, 0.5, 0.7, 0.3]})
    assert chosen_scans(table, 3).scan.tolist() == ["b", "c", "a"]
    assert chosen_scans(table, 1).scan.tolist() == ["c"]


STAGED = staged([4, 8, 8], blocks=[1, 2, 1], strides=THICK[:3], kernels=[[1, 3, 3], [3, 3, 3], [3, 3, 3]])


def test_the_drawing_is_the_record():
    _, table = draw_network(UNet(**STAGED, decoder_blocks=[1, 2]), [9, 16, 16], "x")
    assert table["part"].tolist() == ["encoder"] * 3 + ["decoder"] * 2
    assert table["size"].tolist() == ["9x16x16", "9x8x8", "5x4x4", "9x8x8", "9x16x16"]
    assert table.channels.tolist() == [4, 8, 8, 8, 4] and table.blocks.tolist() == [1, 2, 1, 2, 1]


@pytest.mark.parametrize("head", [0, 16])
def test_a_cnn_is_drawn_with_its_head(head):
    _, table = draw_network(CNN(**STAGED, head_width=head), [8, 16, 16], "x")
    assert len(table) == 3 + bool(head)


def test_small_and_linear_networks_are_drawn():
    assert len(draw_network(UNet(**staged([4], decoder_blocks=[])), [8, 8, 8], "x")[1]) == 1
    assert len(draw_network(Linear(in_channels=1, out_channels=2), [8, 8, 8], "x")[1]) == 1


CELL = [[[0, "plain"], [1, "skip"]], [[2, "window_max"], [1, "plain"]]]
STACKED = {k: STAGED[k] for k in ("in_channels", "out_channels", "widths", "strides")} | {
    "kernels": [[3, 3, 3]] * 3, "cells": [2, 1, 1]}  # fmt: skip


def test_networks_of_cells_are_drawn_with_their_cells():
    network = Cells(**STACKED, decoder=True, normal=CELL, reduction=[], up=CELL[:1])
    figure, table = draw_network(network, [8, 16, 16], "x")
    assert table["part"].tolist() == ["encoder"] * 3 + ["decoder"] * 2
    assert table.blocks.tolist() == [2, 1, 1, 1, 1]
    drawn = {axes.get_title(): [text.get_text() for text in axes.texts] for axes in figure.axes}
    assert drawn["normal cell"][:4] == ["plain", "skip", "plain", "window max"]
    assert "plain" not in drawn["reduction cell"] and drawn["decoder cell"].count("+") == 1
    figure, table = draw_network(Hierarchical(**STACKED, decoder=False, cell=[[[0, "plain"]]]), [8, 16, 16], "x")
    assert len(table) == 3 and len(figure.axes) == 2


def test_an_arrow_over_several_columns_has_a_place_in_each():
    """All values and arrows of a cell have different positions."""
    chain = (((0, "plain"),), ((1, "plain"),), ((0, "skip"), (2, "plain")))
    layout = lay_out(chain, 1)
    long = layout.routes[[edge[:2] for edge in layout.edges].index((0, 3))]
    assert [x for x, _ in long] == [0, 1, 2, 3]
    places = [*layout.values.values(), *(point for route in layout.routes for point in route[1:-1])]
    assert len(set(places)) == len(places)


def test_hand_made_networks_are_drawn_from_their_graphs():
    for name in ("vnet", "resnet18"):
        figure, table = draw_network(Reference(name=name, in_channels=1, out_channels=2), [32, 32, 32], "x")
        assert len(table) > 2 and len(figure.axes) == 1


def series_colours(figure):
    """Colour of each series by the name of its network or search."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            line = handle if hasattr(handle, "get_color") else handle[0]
            found[label.removesuffix(" ★").removesuffix(" (ensemble)")] = line.get_color()
    return found


def test_a_network_and_its_search_have_one_colour_in_all_figures(fake_segmentation, write_benchmark):
    """Also where the networks are drawn in another order."""
    write_benchmark(fake_segmentation)
    seen = {draw.__name__: series_colours(draw(fake_segmentation)[0]) for draw in (best_so_far, front, learning_curves)}
    assert seen["front"] == seen["learning_curves"] and len(set(seen["front"].values())) == 3
    searched = {"bayesian": "bayesian-1", "random": "random-1", "baseline-small": "small"}
    assert all(seen["best_so_far"][search] == seen["front"][name] for search, name in searched.items())


def test_an_outlier_does_not_squeeze_the_axis_and_no_interval_leaves_the_range(fake_segmentation, write_benchmark):
    write_benchmark(fake_segmentation)
    board = read_leaderboard(fake_segmentation)
    board.loc[board.name == "small", ["test_score", "low", "high"]] = [0.1, 0.0, 0.2]
    board.loc[board.winner, "high"] = 1.2
    axes = new_figure(4, 4).subplots()
    cost_panel(axes, board, "macs", "MACs", MEASURES["dice"], Identities(fake_segmentation))
    low, high = axes.get_ylim()
    assert low > 0.5 and high < 1.1
    assert "small (0.1000, outside the axis)" in axes.get_legend_handles_labels()[1]
    bars = [path for bar in axes.collections for path in bar.get_segments()]
    assert max(point[1] for path in bars for point in path) <= 1


def test_the_diagnostics_of_a_task_are_drawn(finished_study):
    text = (finished_study.figures / "scans.svg").read_text()
    words = {
        "segmentation": ["outline of the truth"],
        "classification": ["control, AUC 1.00", "true class", "share of true predictions"],
        "regression": ["predicted minus true", "mean of true and predicted value"],
    }
    assert all(word in text for word in words[benchmark_spec(finished_study).task])


def test_every_trial_has_its_learning_curve(fake_segmentation, write_benchmark, tmp_path):
    write_benchmark(fake_segmentation)
    for step in range(4):
        curve = pd.DataFrame({"samples": [10, 20], "val_score": [0.1, 0.2 + step / 10]})
        write_table(fake_segmentation.step("random", step) / "curve.tsv", curve)
    assert "trial_curves" in draw_figures(fake_segmentation, tmp_path)
    figure, table = trial_curves(fake_segmentation)
    drawn, *empty = figure.axes
    assert drawn.get_title() == "random (4 trials)" and not any(axes.lines for axes in empty)
    (best,) = (line for line in drawn.lines if line.get_linewidth() > 1)
    assert best.get_ydata()[-1] == 0.5 and len(table) == 8


def test_the_front_of_all_trials_has_the_finalists_marked(fake_segmentation, write_benchmark):
    write_benchmark(fake_segmentation)
    figure, table = trial_front(fake_segmentation)
    assert [axes.get_xlabel() for axes in figure.axes] == ["parameters", "MACs of one patch"]
    assert table.finalist.all() and len(table) == 11, "one of the twelve trials failed"
    (line,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    best = table.groupby("parameters").score.max()
    assert line.get_xdata().tolist() == best.index[best == best.cummax()].tolist()
    low, high = figure.axes[0].get_ylim()
    assert table.score.between(low, high).all() and not figure.axes[0].get_title()
    for step, score in ((1, 0.1), (0, 0.9)):  # one trial is bad, another is trained longer
        folder = fake_segmentation.step("random", step)
        for name, changes in (("result", {"score": score}), ("proposal", {"rung": 1 - step})):
            write_json(folder / f"{name}.json", {**read_json(folder / f"{name}.json"), **changes})
    axes, table = trial_front(fake_segmentation)[0].axes[0], trial_front(fake_segmentation)[1]
    hidden = (~table.score.between(*axes.get_ylim())).sum()
    assert hidden and axes.get_title() == f"{hidden} trials lie outside the axis"


def test_no_two_networks_look_the_same():
    assert len({identity(i) for i in range(40)}) == 40
    assert len({matplotlib.colors.to_hex(c) for c in COLOURS}) == len(COLOURS)


def test_names_with_dollar_signs_are_not_read_as_formulas(fake_segmentation, write_benchmark, tmp_path):
    name = r"a_$\frac$1"
    plan = read_json(fake_segmentation.plan)
    write_json(fake_segmentation.plan, {**plan, "labels": {**plan["labels"], "1": name}})
    write_benchmark(fake_segmentation)
    draw_figures(fake_segmentation, tmp_path)
    assert name in (tmp_path / "scans.svg").read_text()
