"""Every trial of the searches: a table, and the learning curves."""

import pandas as pd

from voxnas.benchmark import results
from voxnas.core.measures import Measure, validation_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Proposal
from voxnas.io.records import read_record
from voxnas.io.tables import read_table, table_rows
from voxnas.report.front import log_axis, pareto
from voxnas.report.identities import Identities
from voxnas.report.style import EDGE, INK, Drawn, legend_below, new_figure, outliers
from voxnas.report.tables import Column, Table, cost, number, quantity

MOST_ROWS = 2000  # of a table in the page
PANELS = 3  # in a row
COSTS = {
    "parameters": "parameters", "macs": "MACs of one patch", "latency_ms": "predicted latency of one patch (ms)",
    "memory_mib": "predicted memory of a training step (MiB)",
}  # fmt: skip


def trials_table(paths: StudyPaths, measure: Measure) -> Table:
    """Return the table of all trained steps: configuration, score, cost, state and reason of a failure.

    Parameters
    ----------
    paths : StudyPaths
        A study with a selection.
    measure : Measure
        Measure of the validation scores.
    """
    columns = [
        Column("search", numeric=False),
        Column("step"),
        Column("trial", "steps of one trial continue one training", numeric=False),
        Column(f"validation {measure.title}"),
        Column("state", numeric=False),
        Column("parameters"),
        Column("MACs"),
        Column("samples", "of this step"),
        Column("CPU", "measured CPU time of this step"),
        Column("origin", numeric=False),
        Column("architecture and recipe", numeric=False),
    ]
    rows = []
    for search in results.searches(paths):
        for row in table_rows(results.search_history(paths, search)):
            proposal = read_record(paths.step(search, row.step) / "proposal.json", Proposal)
            config = ", ".join(f"{name} {_shown(value)}" for name, value in sorted(proposal.config.items()))
            score = measure.sign * row.score
            state = row.state + (f": {row.reason}" if row.reason else "")
            rows.append(
                [
                    (search, search),
                    (f"{row.step}", row.step),
                    (str(row.trial), row.trial),
                    (number(score, measure.digits), score),
                    (state, state),
                    (quantity(row.parameters), row.parameters),
                    (quantity(row.macs), row.macs),
                    (f"{row.samples:.0f}", row.samples),
                    (cost(row.measured_seconds, row.samples), row.measured_seconds),
                    (row.origin, row.origin),
                    (config or row.key, config or row.key),
                ]
            )
    return Table(columns, rows).first(MOST_ROWS)


def front_table(paths: StudyPaths, measure: Measure) -> Table | None:
    """Return the front of each search of several objectives (its front.tsv), finalists marked; None without one.

    Parameters
    ----------
    paths : StudyPaths
        A study with a selection.
    measure : Measure
        Measure of the validation scores.
    """
    finalists = {network.key for network in results.finalists(paths)}
    fronts = []
    for search in results.searches(paths):
        history = results.search_history(paths, search)
        if "front" in history:
            fronts.append(history[history.front].sort_values("score", ascending=False).assign(search=search))
    if not fronts:
        return None
    table = pd.concat(fronts, ignore_index=True)
    costs = [name for name in COSTS if name in table]
    columns = [
        Column("search", numeric=False),
        Column("trial", numeric=False),
        Column("step"),
        Column(f"validation {measure.title}"),
        *(Column(COSTS[name]) for name in costs),
        Column("finalist", numeric=False),
    ]
    rows = [
        [
            (row.search, row.search),
            (row.trial, row.trial),
            (f"{row.step}", row.step),
            (number(measure.sign * row.score, measure.digits), measure.sign * row.score),
            *((quantity(getattr(row, name)), getattr(row, name)) for name in costs),
            *[("finalist", "finalist") if row.key in finalists else ("", "")],
        ]
        for row in table_rows(table)
    ]
    return Table(columns, rows, frozenset(i for i, key in enumerate(table.key) if key in finalists))


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def read_curves(paths: StudyPaths) -> pd.DataFrame:
    """Validation scores over the samples of each trial: search, trial, step, samples, score (larger is better)."""
    tables = []
    for search in results.searches(paths):
        for row in table_rows(results.search_history(paths, search)):
            file = paths.step(search, row.step) / "curve.tsv"
            table = read_table(file, {}) if file.is_file() and file.stat().st_size else pd.DataFrame()
            if {"samples", "val_score"} <= set(table):
                numbers = table[["samples", "val_score"]].apply(pd.to_numeric, errors="coerce").dropna()
                labels = {"search": search, "trial": row.trial, "step": row.step}
                tables.append(numbers.assign(**labels).rename(columns={"val_score": "score"}))
    columns = ["search", "trial", "step", "samples", "score"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def trial_curves(paths: StudyPaths) -> Drawn:
    """Draw the validation score of each trial over its samples, one panel for each search; the best trial is thick."""
    measure, curves = validation_measure(results.benchmark_spec(paths).task), read_curves(paths)
    curves["score"] *= measure.sign
    searches, identities = list(curves.search.unique()), Identities(paths)
    rows = -(-len(searches) // PANELS)
    figure = new_figure(8.6, 0.5 + 2.4 * rows)
    panels = list(figure.subplots(rows, PANELS, sharex=True, sharey=True, squeeze=False).flat)
    for axes, search in zip(panels, searches, strict=False):
        colour, _ = identities[search]
        trials = {trial: one.sort_values("samples") for trial, one in curves[curves.search == search].groupby("trial")}
        best = max(trials, key=lambda trial: measure.sign * trials[trial].score.iloc[-1])
        for trial, one in trials.items():
            style = {"linewidth": 2.2, "zorder": 3} if trial == best else {"linewidth": 0.8, "alpha": 0.5}
            axes.plot(one.samples, one.score, marker=".", color=colour, markersize=4, **style)
        axes.set_title(f"{search} ({len(trials)} trials)", fontsize=9)
    for axes in panels[len(searches) :]:
        axes.set_axis_off()
    for axes in panels[::PANELS]:
        axes.set_ylabel(f"validation {measure.title}", fontsize=8)
    figure.supxlabel("samples seen", fontsize=9)
    return figure, curves


def trial_front(paths: StudyPaths) -> Drawn:
    """Draw the latest validation score of each trial against parameters, MACs and the costs that are objectives.

    Small points are trials that were not trained longest. Finalists have a ring. The line is the front of the trials
    that were trained longest. The axis ends at the median of the scores, unless one of these trials is worse, and at
    the scores that are no outliers.
    """
    measure, identities = validation_measure(results.benchmark_spec(paths).task), Identities(paths)
    tables = []
    for search in results.searches(paths):
        history = results.search_history(paths, search).sort_values("rung", kind="stable")
        tables.append(history.groupby("trial", sort=False).tail(1).assign(search=search))
    trials = pd.concat(tables, ignore_index=True).dropna(subset=["score"])
    trials["score"] *= measure.sign
    trials["finalist"] = trials.key.isin([network.key for network in results.finalists(paths)])
    costs = [name for name in COSTS if name in trials]
    figure = new_figure(8.6, 4.2)
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    top = trials.rung == trials.rung.max()
    good = measure.sign * trials.score >= (measure.sign * trials.score).median()
    shown = trials.score[(top | good) & ~outliers(trials.score.to_numpy())]
    margin = 0.05 * (shown.max() - shown.min() or 1)
    panels[0].set_ylim(shown.min() - margin, shown.max() + margin)
    if hidden := len(trials) - int(trials.score.between(*panels[0].get_ylim()).sum()):
        panels[0].set_title(f"{hidden} trials lie outside the axis", fontsize=8, weight="normal")
    for axes, name in zip(panels, costs, strict=True):
        for source, of_search in trials.groupby("search", sort=False):
            colour, marker = identities[str(source)]
            longest = top[of_search.index]
            for rows, size, label in ((of_search[longest], 6, str(source)), (of_search[~longest], 3, None)):
                axes.plot(rows[name], rows.score, marker, color=colour, markersize=size, alpha=0.7, label=label)
        chosen = trials[trials.finalist]
        axes.plot(chosen[name], chosen.score, "o", mfc="none", mec=INK, markersize=12, label="finalist")
        line = trials[top]
        line = line[pareto(line[name].to_numpy(dtype=float), line.score.to_numpy(), measure.sign)].sort_values(name)
        axes.step(line[name], line.score, where="post", color=EDGE, linewidth=1.2, linestyle="--", zorder=1)
        axes.set_xlabel(COSTS[name])
        log_axis(axes, trials[name])
    panels[0].set_ylabel(f"validation {measure.title}")
    legend_below(figure, panels[0])
    return figure, trials[["search", "trial", "step", "rung", "key", "score", *costs, "finalist"]]


def has_curves(paths: StudyPaths) -> bool:
    """Whether a step of a search has a learning curve."""
    return any(any(paths.root.glob(f"search/{search}/steps/*/curve.tsv")) for search in results.searches(paths))
