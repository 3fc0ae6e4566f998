"""Figures of a comparison of networks: score against each cost, and scores at equal samples and equal time."""

import pandas as pd

from voxnas.benchmark.efficiency import efficiency
from voxnas.benchmark.results import benchmark_spec
from voxnas.core.measures import ranking_measure, validation_measure
from voxnas.core.paths import StudyPaths
from voxnas.report.front import COSTS, cost_panel, log_axis
from voxnas.report.identities import Identities
from voxnas.report.style import SOFT, Drawn, legend_below, new_figure

FURTHER_COSTS = {
    "peak_memory_mib": "peak memory of a prediction (MiB)",
    "train_memory_mib": "peak memory of a training step (MiB)",
    "train_ms_per_sample": "training time of one sample (CPU ms)",
    "energy_inference_j": "energy of a prediction (J)",
}


def score_against_cost(paths: StudyPaths) -> Drawn:
    """Draw the test score of each network against its costs; costs without a measurement are omitted."""
    measure = ranking_measure(benchmark_spec(paths))
    table, _ = efficiency(paths)
    costs = {name: title for name, title in (COSTS | FURTHER_COSTS).items() if table[name].notna().any()}
    identities, rows = Identities(paths), -(-len(costs) // 3)
    figure = new_figure(8.6, 1.0 + 2.9 * rows)
    panels = figure.subplots(rows, 3, sharey=True, squeeze=False)
    for axes, (cost, title) in zip(panels.flat, costs.items(), strict=False):
        cost_panel(axes, table.assign(winner=False), cost, title, measure, identities)
    for axes in list(panels.flat)[len(costs) :]:
        axes.set_axis_off()
    for row in panels:
        row[0].set_ylabel(f"test {measure.title}")
    legend_below(figure, panels[0][0])
    return figure, table


def equal_cost(paths: StudyPaths) -> Drawn:
    """Draw the validation score over samples and over CPU time, with the positions of the comparison."""
    measure = validation_measure(benchmark_spec(paths).task)
    table, curves = efficiency(paths)
    figure = new_figure(8.6, 4.9)
    panels = figure.subplots(1, 2, sharey=True)
    places = {"samples": table.equal_samples.iloc[0], "cpu_seconds": table.equal_cpu_seconds.iloc[0]}
    titles = {"samples": "samples seen", "cpu_seconds": "CPU seconds, as calibrated"}
    identities = Identities(paths)
    for axes, axis in zip(panels, titles, strict=True):
        for name in table.name:
            colour, marker = identities[name]
            marks = curves[curves.name == name].groupby("samples")
            mean, spread = marks[["cpu_seconds", "score"]].mean().reset_index(), marks.score.std().fillna(0).to_numpy()
            axes.plot(mean[axis], mean.score, marker=marker, markersize=4, linewidth=1.2, color=colour, label=name)
            band = [(mean.score + side * spread).clip(measure.low, measure.high) for side in (-1, 1)]
            axes.fill_between(mean[axis], *band, color=colour, alpha=0.08, lw=0)
        axes.axvline(places[axis], color=SOFT, linewidth=1, linestyle="--")
        axes.set_xlabel(titles[axis])
    panels[0].set_ylabel(f"validation {measure.title}")
    log_axis(panels[0], curves.samples)
    legend_below(figure, panels[0])
    return figure, curves


def read_efficiency(paths: StudyPaths) -> pd.DataFrame:
    """Read the table of the figure."""
    table = pd.read_csv(paths.figures / "efficiency.tsv", sep="\t", na_values=["n/a"])
    return table.astype({column: float for column in table.columns if column != "name"})
