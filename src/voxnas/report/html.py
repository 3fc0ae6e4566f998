"""report.html: a self-contained page with the search, the results and the provenance of a study."""

import json
import re
import shlex
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from voxnas import __version__
from voxnas.benchmark import results
from voxnas.benchmark.costs import basis, cost_ratios
from voxnas.benchmark.detectable import describe_size
from voxnas.benchmark.efficiency import has_efficiency, is_comparison
from voxnas.benchmark.leaderboard import ENSEMBLE_SUFFIX, read_comparisons, read_leaderboard, winning_network
from voxnas.core.measures import Measure, ranking_measure, validation_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.spec import IndexSpec, ReportSpec, SearchSpec
from voxnas.core.splits import Splits
from voxnas.core.trial import Network
from voxnas.data.index_files import check_rows
from voxnas.data.ledger import ledger_file, read_ledger
from voxnas.io.records import read_json, read_plan, read_record
from voxnas.io.tables import read_table
from voxnas.report import alphas, folds, tables, time_series
from voxnas.report.alternatives import alternatives
from voxnas.report.cases import SCORES, cases_table
from voxnas.report.cost import cost_table
from voxnas.report.drawing import DECODER, ENCODER, HEAD
from voxnas.report.efficiency import read_efficiency
from voxnas.report.importance import importance_sentence
from voxnas.report.methods import methods
from voxnas.report.sentence import (
    basis_sentence,
    cost_sentences,
    hand_made,
    headline,
    independent_unit,
    is_hand_made,
    separation,
)
from voxnas.report.style import EDGE, GRID, INK, SOFT
from voxnas.report.trials import front_table, trials_table
from voxnas.report.viewer import read_viewer

SIZED = dict.fromkeys(("scan", "participant", "target"), str)  # columns of scans.tsv


def render_report(paths: StudyPaths) -> str:
    """Render the page of a study with completed benchmark and figures."""
    source = files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"quantity": tables.quantity, "duration": tables.duration, "number": tables.number}
    return environment.from_string(source).render(context(paths))


def context(paths: StudyPaths) -> dict[str, Any]:
    """Variables of the template."""
    spec, benchmark = read_record(paths.spec("report"), ReportSpec), results.benchmark_spec(paths)
    measure, confidence = ranking_measure(benchmark), benchmark.confidence
    board, comparisons = read_leaderboard(paths), read_comparisons(paths)
    plan, dataset, splits = read_plan(paths.plan), read_json(paths.dataset), read_record(paths.splits, Splits)
    network = winning_network(paths)
    labels = {k: v for k, v in sorted(plan.labels.items(), key=lambda kv: int(kv[0])) if int(k)}
    labels = labels if spec.task == "segmentation" else {}
    scans = read_table(paths.scans, {"warnings": str})
    check_rows(paths.scans, scans, dataset["scans"])
    excluded = read_table(paths.excluded, dict.fromkeys(("scan", "stage", "file", "reason"), str))
    return {
        "title": spec.title or spec.study,
        "study": spec.study,
        "task": spec.task,
        "measure": measure,
        "confidence": confidence,
        "headline": headline(board, comparisons, measure, confidence, plan.unit, independent_unit(splits, dataset)),
        "winner": board[board.winner].iloc[0].to_dict(),
        "cards": _cards(board, measure),
        "leaderboard": tables.leaderboard_table(board, measure, labels, confidence),
        "board_costs": tables.costs_table(board),
        "unit": independent_unit(splits, dataset),
        "notes_of_intervals": sorted({*board.note, *comparisons.note} - {""}),
        "comparisons": tables.comparisons_table(comparisons, measure, confidence),
        "folds": _folds(paths, measure, confidence),
        "figures": {p.stem: inline_svg(p.read_text(encoding="utf-8"), p.stem) for p in paths.figures.glob("*.svg")},
        "alternatives": alternatives(paths, measure),
        "searched": not is_comparison(paths),
        "efficiency": tables.efficiency_table(read_efficiency(paths), measure) if has_efficiency(paths) else None,
        "searches": _searches(paths, validation_measure(spec.task)),
        "trials": trials_table(paths, validation_measure(spec.task)),
        "gradient": _gradient(paths, validation_measure(spec.task)),
        "trial_files": _trial_files(paths),
        "front": front_table(paths, validation_measure(spec.task)),
        "cases": cases_table(paths),
        "case_score": SCORES[spec.task],
        "viewer": (viewer := read_viewer(paths)),
        "viewer_data": Markup(json.dumps(viewer).replace("<", "\\u003c")),
        "viewer_script": Markup(files(__package__).joinpath("viewer.js").read_text(encoding="utf-8")),
        "importance": importance_sentence(paths) if (paths.figures / "importance.svg").is_file() else "",
        "notes": _notes(paths),
        "spaces": _spaces(paths),
        "record": tables.flatten(network.plain()),
        "dataset": dataset,
        "splits": {"test": len(splits.test), "separation": separation(splits, dataset)},
        "size": describe_size(read_table(paths.scans, SIZED), splits, spec.task, dataset["identified"]),
        "facts": _facts(plan, dataset, splits),
        "runs": _runs(paths, board, comparisons, measure, network) if plan.timed else None,
        "excluded": tables.plain_table(
            excluded, {"scan": "scan", "stage": "stage", "file": "file", "reason": "reason"}
        ),
        "warnings": _warnings(scans),
        "ledger": _ledger(paths),
        "ledger_file": ledger_file(paths).name,
        "basis": basis_sentence(basis(paths)),
        "chance": tables.chance_sentence(board, measure),
        "costs": _costs(paths, board),
        "cost": cost_table(paths, spec),
        "power": {"watts": f"{spec.watts_per_core:g}", "grams": f"{spec.grams_per_kwh:g}"},
        "cost_ratios": cost_sentences(cost_ratios(board)),
        "seeds": len(results.seed_results(paths, network.key)),
        "seed": benchmark.seed,
        "device": tables.flatten(read_json(paths.network(network.key) / "profile.json").get("device", {})),
        "run": tables.flatten(_run(paths, network.key)),
        "specs": {p.stem: tables.flatten(read_json(p)) for p in sorted((paths.root / "spec").glob("*.json"))},
        "methods": methods(paths, measure),
        "command": _command(paths, spec.study),
        "version": __version__,
    }


def _folds(paths: StudyPaths, measure: Measure, confidence: float) -> dict[str, Any] | None:
    """Table and sentence of the cross-validated scores; None if the study has none."""
    table = folds.read_folds(paths)
    if table is None:
        return None
    return {
        "table": folds.folds_table(table, measure),
        "sentence": folds.folds_sentence(table, measure, confidence),
    }


def _gradient(paths: StudyPaths, measure: Measure) -> dict[str, Any] | None:
    """Table and sentence of the gradient searches; None if the study has none."""
    if not alphas.gradient_searches(paths):
        return None
    return {
        "table": alphas.discretization_table(paths, measure),
        "sentence": alphas.alphas_sentence(paths, measure),
    }


def _facts(plan: Plan, dataset: dict[str, Any], splits: Splits) -> list[tuple[str, str]]:
    """Facts about the data and their preprocessing."""
    asked = {
        "segmentation": ("labels", ", ".join(plan.labels.values())),
        "classification": ("classes", ", ".join(plan.classes)),
        "regression": ("target", dataset["target"]),
    }
    facts = [
        ("data set", dataset["name"]),
        ("layout", dataset["layout"]),
        ("channels", ", ".join(dataset["channels"])),
        ("scans", str(dataset["scans"])),
        ("locked test split", str(len(splits.test))),
        ("folds", " + ".join(str(len(fold)) for fold in splits.folds)),
        ("unit of the splits", splits.unit),
        asked[plan.task],
    ]
    if plan.timed:
        clip, bold = plan.clip, plan.bold
        interval = plan.repetition_time
        return [
            *facts,
            ("unit of prediction", plan.unit),
            ("views", ", ".join(plan.views)),
            ("clip", f"{clip.frames} volumes" + (f", step {clip.step}" if clip.step > 1 else "")),
            ("median run", f"{plan.fingerprint.median_frames} volumes"),
            ("repetition time", f"{interval:g} s" if interval else tables.DASH),
            ("voxel after preprocessing", f"{_times(plan.spacing)} mm"),
            ("volume (depth x height x width)", f"{_times(plan.patch)} voxels"),
            ("confounds", ", ".join(bold.confounds) or "none"),
            ("filter", f"{bold.high_pass or 0:g} to {bold.low_pass or 'the highest'} Hz"),
            ("standardisation per voxel and run", bold.standardize),
        ]
    return [
        *facts,
        ("median voxel", f"{_times(plan.fingerprint.median_spacing)} mm"),
        ("voxel after preprocessing", f"{_times(plan.spacing)} mm"),
        ("median shape after preprocessing", f"{_times(plan.fingerprint.median_shape)} voxels"),
        ("patch (depth x height x width)", f"{_times(plan.patch)} voxels"),
        ("normalisation", plan.normalize),
        ("crop to the non-zero voxels", "yes" if plan.crop else "no"),
    ]


def _times(numbers: Sequence[float]) -> str:
    return " x ".join(map(str, numbers))


def _runs(
    paths: StudyPaths, board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure, winner: Network
) -> dict[str, Any]:
    """Variables of a study of time series."""
    quality = time_series.read_quality(paths)
    return {
        "views": time_series.views_table(paths, board, comparisons, measure),
        "time": time_series.describe_benefit_of_time(winner, board, comparisons, measure),
        "quality": time_series.quality_table(quality),
        "excluded": int(quality.excluded.notna().sum()),
    }


# Colours of the figures that follow the colours of the page, light or dark; those of series and images are fixed.
THEMED = {INK: "ink", "#000000": "ink", SOFT: "soft", EDGE: "edge", GRID: "line", "#ffffff": "figure"}
THEMED |= {ENCODER: "encoder", DECODER: "decoder", HEAD: "head"}


def inline_svg(text: str, name: str) -> Markup:
    """Convert an SVG file to an inline element: without XML header, with unique ids, scalable, in colours of the page.

    The element is hidden from screen readers, which read the alternative text of the figure instead.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in THEMED.items():
        text = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var(--{variable})", text, flags=re.IGNORECASE)
    return Markup(re.sub(r"<svg ", '<svg aria-hidden="true" ', text, count=1))


def _cards(board: pd.DataFrame, measure: Measure) -> list[tuple[str, str, str]]:
    """Key figures at the top of the page: value, description and name of the network."""
    winner = board[board.winner].iloc[0]
    d = measure.digits
    cards = [(tables.number(winner.test_score, d), f"test {measure.title}", winner["name"])]
    baselines = hand_made(board)
    if len(baselines) and winner["name"] not in set(baselines.name):
        best = baselines.iloc[0]
        cards.append((tables.number(best.test_score, d), "best hand-made network", best["name"]))
    ensemble = board[board.name == f"{winner['name']}{ENSEMBLE_SUFFIX}"]
    if len(ensemble):
        cards.append((tables.number(ensemble.iloc[0].test_score, d), "ensemble of its seeds", ""))
    cards += [
        (tables.quantity(winner.parameters), "parameters", ""),
        (tables.quantity(winner.macs), "MACs of one patch", ""),
        (f"{tables.number(winner.latency_ms, 1)} ms", "latency of one patch", ""),
    ]
    return cards


def _searches(paths: StudyPaths, measure: Measure) -> tables.Table:
    """Table of the searches with their trials and costs."""
    rows = []
    for name in results.searches(paths):
        history = results.search_history(paths, name)
        failed = history[history.state == "FAILED"]
        measured, predicted = (history[c].sum(min_count=len(history)) for c in ("measured_seconds", "cpu_seconds"))
        rows.append(
            {
                "search": name,
                "trials": _trials(history),
                "failed": f"{len(failed)} ({'; '.join(failed.reason.unique())})" if len(failed) else "0",
                "distinct": str(history.key[history.key != ""].nunique()),
                "best": tables.number(measure.sign * history.best.iloc[-1] if len(history) else None, measure.digits),
                "cost": tables.cost(measured, history.samples.sum(), predicted),
            }
        )
    titles = {
        "search": "search",
        "trials": "trials",
        "distinct": "distinct networks",
        "failed": "failed",
        "best": f"best validation {measure.title}",
        "cost": "measured CPU time [predicted]",
    }
    return tables.plain_table(pd.DataFrame(rows, columns=list(titles)), titles)


def _notes(paths: StudyPaths) -> tables.Table:
    """Table of the notes of the strategies."""
    histories = [results.search_history(paths, name).assign(search=name) for name in results.searches(paths)]
    noted = [history[history.note != ""] for history in histories]
    titles = {"search": "search", "step": "step", "note": "note"}
    return tables.plain_table(pd.concat(noted)[list(titles)] if noted else pd.DataFrame(columns=list(titles)), titles)


def _trials(history: pd.DataFrame) -> str:
    """Number of trials of a search, and number of promotions."""
    promoted = int((history.rung > 0).sum())
    return f"{history.trial.nunique()}" + (f" ({promoted} promotions)" if promoted else "")


def _spaces(paths: StudyPaths) -> list[dict[str, Any]]:
    """Search space, settings, limits and options of each method; equal spaces appear once."""
    shown: dict[str, dict[str, Any]] = {}
    for name in results.searches(paths):
        if is_hand_made(name):
            continue
        spec = read_record(paths.spec(f"search-{name}"), SearchSpec)
        text = json.dumps(spec.space, sort_keys=True)
        new = {"methods": [], "space": spec.space, "settings": spec.search, "options": {}}
        entry = shown.setdefault(text, new)
        entry["methods"].append(spec.name)
        entry["options"] |= spec.search.options
    for entry in shown.values():
        budget = entry["settings"].budget
        timed = budget.unit == "cpu_seconds"
        amount = budget.amount
        entry["budget"] = f"{tables.duration(amount)} of CPU time" if timed else f"{tables.quantity(amount)} samples"
        entry["parameters"] = _parameters(entry["space"])
        entry["options"] = [
            (f"options of {strategy}", ", ".join(f"{name}: {value}" for name, value in options.items()))
            for strategy, options in entry["options"].items()
            if options
        ]
    return list(shown.values())


def _trial_files(paths: StudyPaths) -> Markup:
    """Link the complete tables of the trials, beside the page."""
    link = Markup('<a href="search/{0}/trials.tsv">search/{0}/trials.tsv</a>')
    return Markup(", ").join(link.format(name) for name in results.searches(paths)) + "."


def _parameters(space: dict[str, Any]) -> tables.Table:
    """Table of the parameters of a search space with their values, preceded by further keys of its file."""
    rows = []
    for name, value in space.items():
        if name not in ("family", "parameters"):
            parts = value.items() if isinstance(value, dict) else [("", value)]
            texts = [f"{key} {', '.join(map(str, v)) if isinstance(v, list) else v}".strip() for key, v in parts]
            rows.append({"name": name, "allowed": "; ".join(texts), "when": "always"})
    for name, written in space.get("parameters", {}).items():
        entry = written if isinstance(written, dict) else {"choices": [written]}  # a constant
        if "choices" in entry:
            allowed = ", ".join(json.dumps(c) if isinstance(c, list) else str(c) for c in entry["choices"])
        else:
            allowed = f"{entry['low']} to {entry['high']}{', logarithmic' if entry.get('log') else ''}"
        when = entry.get("when") or []
        alternatives = [_condition(one) for one in ([when] if isinstance(when, dict) else when)]
        rows.append({"name": name, "allowed": allowed, "when": "; or ".join(alternatives) or "always"})
    titles = {"name": "parameter", "allowed": "allowed", "when": "active when"}
    return tables.plain_table(pd.DataFrame(rows, columns=list(titles)), titles)


def _condition(needed: dict[str, Any]) -> str:
    """Format a condition: the required values of other parameters."""
    return " and ".join(
        f"{other} is {' or '.join(map(str, value)) if isinstance(value, list) else value}"
        for other, value in needed.items()
    )


def _warnings(scans: pd.DataFrame) -> list[tuple[str, int]]:
    """Warnings of the index with their numbers of scans."""
    found = scans.warnings.dropna().str.split(";").explode().str.strip()
    return [(str(text), int(count)) for text, count in found.value_counts().items()]


def _ledger(paths: StudyPaths) -> tables.Table:
    """Table of the reads of the test split by all studies."""
    names = {n.key: n.name for n in results.networks(paths)}
    table = pd.DataFrame(read_ledger(paths), columns=["time", "study", "reader", "key", "count"])
    table["name"] = [names.get(key, tables.DASH) for key in table.key]
    titles = {"time": "time", "study": "study", "reader": "reader", "key": "key", "name": "network", "count": "scans"}
    return tables.plain_table(table, titles)


def _costs(paths: StudyPaths, board: pd.DataFrame) -> list[tuple[str, str]]:
    """Measured cost of the searches and of the final trainings."""
    histories = [results.search_history(paths, name) for name in results.searches(paths)]
    searched = pd.concat(histories) if histories else pd.DataFrame({"measured_seconds": [], "samples": []})
    trained = board.drop_duplicates("key")
    return [
        ("measured CPU time of all searches", _total_cost(searched.measured_seconds, searched.samples)),
        (
            "measured CPU time of all final trainings",
            _total_cost(trained.train_seconds_measured, trained.train_samples),
        ),
    ]


def _total_cost(seconds: pd.Series, samples: pd.Series) -> str:
    return tables.cost(seconds.sum(min_count=max(1, len(seconds))), samples.sum())


def _run(paths: StudyPaths, key: str) -> dict[str, Any]:
    """Run record of seed 0 of the winner: time, processes, versions."""
    path = paths.seed(key, 0) / "run.json"
    record = read_json(path) if path.is_file() else {}
    return {name: value for name, value in record.items() if name not in ("host", "reused")}


def _command(paths: StudyPaths, study: str) -> str:
    """Command that repeats the study."""
    root = read_record(paths.spec("index"), IndexSpec).data_root
    return f"voxnas run {study}" + (f" --config data_root={shlex.quote(root)}" if root else "")
