"""Gradient searches in the report: planted alphas, and what they say."""

import pandas as pd
import pytest

from voxnas.core.measures import validation_measure
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import write_table
from voxnas.report.alphas import alpha_curves, alphas_sentence, discretization_table, read_alphas
from voxnas.report.figures import draw_figures
from voxnas.report.html import render_report

WEIGHTS = {"plain": (0.4, 0.7), "skip": (0.4, 0.2), "zero": (0.2, 0.1)}  # before and after
SCORES = {"relaxed": 0.8, "inherited": 0.3}


@pytest.fixture
def gradient_study(fake_segmentation, write_benchmark):
    """A study in which the search ``random`` has left the records of a gradient search."""
    paths = fake_segmentation
    write_benchmark(paths)
    columns = {"samples": [10, 20]}
    for label in ("normal.0", "up.0"):
        for edge, share in enumerate((0.75, 0.25)):
            columns[f"{label}/{edge}"] = [share, share]
            columns |= {f"{label}/{edge}/{name}": list(weights) for name, weights in WEIGHTS.items()}
    folder = paths.step("random", 0)
    write_table(folder / "alphas.tsv", pd.DataFrame(columns))
    config = {f"{cell}.0.{operand}.op": "plain" for cell in ("normal", "up") for operand in "ab"} | {
        "up.0.b.op": "skip"
    }
    for name, changes in (("proposal", {"config": config}), ("result", {"score": 0.75, "metrics": SCORES})):
        write_json(folder / f"{name}.json", {**read_json(folder / f"{name}.json"), **changes})
    return paths


def test_the_weights_are_read_by_cell_edge_and_operation(gradient_study):
    table = read_alphas(gradient_study)
    assert len(table) == 2 * 2 * 2 * len(WEIGHTS)
    last = table[table.samples == 20]
    assert last.groupby(["cell", "node", "edge"]).weight.sum().tolist() == pytest.approx([1] * 4)
    assert set(last[last.operation == "plain"].weight) == {0.7} and set(table.share) == {0.75, 0.25}


def test_each_operation_has_a_line_in_each_kind_of_cell(gradient_study, tmp_path):
    figure, _ = alpha_curves(gradient_study)
    assert [axes.get_title() for axes in figure.axes] == ["random: normal cell", "random: up cell"]
    lines = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines}
    assert lines == {name: pytest.approx(weights) for name, weights in WEIGHTS.items()}
    assert "alphas" in draw_figures(gradient_study, tmp_path)


def test_the_table_states_the_cost_of_discretization_and_the_collapse(gradient_study):
    table = discretization_table(gradient_study, validation_measure("segmentation"))
    (row,) = table.rows
    found = dict(zip([column.title for column in table.columns], row, strict=True))
    values = {name: value for name, (_, value) in found.items()}
    assert values["inherited"] == 0.3 and values["gap"] == pytest.approx(0.05)
    assert values["skips"] == 0.25 and values["kept operations"] == "3 plain, 1 skip"
    assert 0.2 < values["sparsity"] < 0.3  # the entropy of (0.7, 0.2, 0.1) is 0.80, the largest 1.10


def test_the_sentence_names_the_winning_operation(gradient_study):
    text = alphas_sentence(gradient_study, validation_measure("segmentation"))
    assert text.startswith("Of the 4 operations that one supernet kept, 3 are plain and 1 are skip connections.")
    assert "is 0.0500 on average" in text


def test_the_page_has_the_table_and_its_figure(gradient_study):
    draw_figures(gradient_study, gradient_study.figures)
    page = render_report(gradient_study)
    assert '<figure id="figure-alphas">' in page and "one supernet kept" in page and "3 plain, 1 skip" in page
