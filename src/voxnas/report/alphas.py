"""Gradient searches: the weights of the operations over the training of the supernet, and what discretization costs."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from voxnas.benchmark import results
from voxnas.core.measures import Measure
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_record
from voxnas.io.tables import read_table
from voxnas.report.style import COLOURS, Drawn, legend_below, new_figure
from voxnas.report.tables import Column, Table, number

COLUMNS = ["search", "samples", "cell", "node", "edge", "operation", "weight", "share"]
NEVER_BEST = "zero"


def read_alphas(paths: StudyPaths) -> pd.DataFrame:
    """Weights of the operations of all supernets.

    Returns
    -------
    DataFrame
        One row per search, validation, edge and operation: search, samples, cell, node, edge, operation, weight (the
        sum over the operations of an edge is 1) and share (of the edge among the edges of its node).
    """
    tables = []
    for search in gradient_searches(paths):
        table = read_table(_file(paths, search), {}).apply(pd.to_numeric, errors="coerce")
        for column in (name for name in table if name.count("/") == 2):
            label, edge, operation = column.split("/")
            cell, node = label.split(".")
            fields = {"search": search, "cell": cell, "node": int(node), "edge": int(edge), "operation": operation}
            values = {"samples": table.samples, "weight": table[column], "share": table[f"{label}/{edge}"]}
            tables.append(pd.DataFrame(values).assign(**fields))
    return pd.concat(tables, ignore_index=True)[COLUMNS] if tables else pd.DataFrame(columns=COLUMNS)


def gradient_searches(paths: StudyPaths) -> list[str]:
    """Names of the searches that have trained a supernet."""
    return [search for search in results.searches(paths) if _file(paths, search).is_file()]


def alpha_curves(paths: StudyPaths) -> Drawn:
    """Draw the mean weight of each operation over the samples, weighted by edge, for each search and kind of cell."""
    table = read_alphas(paths)
    searches, cells = list(table.search.unique()), list(table.cell.unique())
    operations = list(table.operation.unique())
    figure = new_figure(8.6, 0.7 + 2.0 * len(searches))
    panels = figure.subplots(len(searches), len(cells), sharex="row", sharey="row", squeeze=False)
    for row, search in zip(panels, searches, strict=True):
        for axes, cell in zip(row, cells, strict=True):
            of_cell = table[(table.search == search) & (table.cell == cell)]
            for i, operation in enumerate(operations):
                one = of_cell[of_cell.operation == operation]
                mean = (one.weight * one.share).groupby(one.samples).sum() / one.share.groupby(one.samples).sum()
                style = {"color": COLOURS[i % len(COLOURS)], "linestyle": "-" if i < len(COLOURS) else "--"}
                axes.plot(mean.index, mean, marker=".", label=operation.replace("_", " "), **style)
            axes.set_title(f"{search}: {cell} cell", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("samples seen by the weights", fontsize=8)
    for axes in panels[:, 0]:
        axes.set_ylabel("mean weight", fontsize=8)
    legend_below(figure, panels[0, 0])
    return figure, table


def discretization_table(paths: StudyPaths, measure: Measure) -> Table:
    """Tabulate each supernet and its network.

    Scores are those of the validation fold: of the supernet, of the supernet with the kept operations alone, and of the
    network from fresh weights after the budget of one trial. The sparsity of an edge is 1 minus its normalised entropy.
    """
    columns = [
        Column("search", numeric=False),
        Column(f"relaxed {measure.title}", "supernet with all operations"),
        Column("inherited", "kept operations alone, with the weights of the supernet"),
        Column("fine-tuned", "kept operations alone, trained on with the weights of the supernet"),
        Column("trained anew", "network of cells from fresh weights, with the budget of one trial"),
        Column("gap", "relaxed minus trained anew"),
        Column("sparsity", "1 minus the normalised entropy of the operations, mean over edges"),
        Column("skips", "share of skip connections among the kept operations"),
        Column("kept operations", numeric=False),
    ]
    table, rows = read_alphas(paths), []
    for search in gradient_searches(paths):
        result = read_record(paths.step(search, 0) / "result.json", Result)
        kept = kept_operations(paths, search)
        last = table[(table.search == search)]
        last = last[last.samples == last.samples.max()]
        sparsity = float(
            np.mean([_sparsity(edge.weight.to_numpy()) for _, edge in last.groupby(["cell", "node", "edge"])])
        )
        scores = [*(result.metrics.get(name) for name in ("relaxed", "inherited", "fine_tuned")), result.score]
        shown = [float("nan") if score is None else measure.sign * score for score in scores]
        gap = measure.sign * (shown[0] - shown[-1])
        counts = Counter(kept)
        text = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.most_common())
        skips = counts["skip"] / len(kept)
        rows.append(
            [
                (search, search),
                *((number(score, measure.digits), score) for score in shown),
                (number(gap, measure.digits), gap),
                (number(sparsity, 2), sparsity),
                (number(skips, 2), skips),
                (text, text),
            ]
        )
    return Table(columns, rows)


def kept_operations(paths: StudyPaths, search: str) -> list[str]:
    """Operations of all cells of the network that a gradient `search` has found."""
    config = read_record(paths.step(search, 0) / "proposal.json", Proposal).config
    return [str(value) for name, value in sorted(config.items()) if name.endswith(".op") and value != NEVER_BEST]


def alphas_sentence(paths: StudyPaths, measure: Measure) -> str:
    """State from the numbers which operations win, whether runs agree, and what discretization costs."""
    searches = gradient_searches(paths)
    kept = {search: kept_operations(paths, search) for search in searches}
    counts = Counter(name for names in kept.values() for name in names)
    total = sum(counts.values())
    first, most = counts.most_common(1)[0]
    supernets, name = _several(len(searches), "supernet"), first.replace("_", " ")
    text = f"Of the {total} operations that {supernets} kept, {most} are {name}"
    text += f" and {counts['skip']} are skip connections. " if first != "skip" else ". "
    if len(searches) > 1:
        pairs = [(a, b) for i, a in enumerate(searches) for b in searches[i + 1 :]]
        same = [np.mean([x == y for x, y in zip(kept[a], kept[b], strict=False)]) for a, b in pairs]
        text += f"Two of them agree on {np.mean(same):.0%} of the operations on average. "
    gaps = []
    for search in searches:
        result = read_record(paths.step(search, 0) / "result.json", Result)
        if result.score is not None and "relaxed" in result.metrics:
            gaps.append(result.metrics["relaxed"] - result.score)
    if gaps:
        gap = number(float(np.mean(gaps)), measure.digits)
        text += (
            f"The validation {measure.title} of the supernet minus that of the network trained anew is {gap} on average"
        )
        text += " (one validation fold; the trainings differ in length)."
    return text


def _several(count: int, noun: str) -> str:
    return f"one {noun}" if count == 1 else f"{count} {noun}s"


def _sparsity(weights: np.ndarray) -> float:
    """One minus the entropy of weights that sum to 1, relative to the largest entropy."""
    return float(1 + (weights * np.log(np.maximum(weights, 1e-12))).sum() / np.log(len(weights)))


def _file(paths: StudyPaths, search: str) -> Path:
    return paths.step(search, 0) / "alphas.tsv"
