"""Model card of the winner of a study (Mitchell et al. 2019, Model Cards for Model Reporting)."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from voxnas.benchmark.leaderboard import ENSEMBLE_SUFFIX, read_comparisons, read_leaderboard
from voxnas.benchmark.results import benchmark_spec
from voxnas.core.measures import ranking_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.deploy.runtimes import Runtimes
from voxnas.io.records import read_json, read_plan, read_record
from voxnas.report import tables
from voxnas.report.sentence import headline, independent_unit, separation

HEADING = "\n## Run-times\n"


def model_card(paths: StudyPaths, model: dict[str, Any]) -> str:
    """Return the card as Markdown: use, scores, data and limits.

    Parameters
    ----------
    paths : StudyPaths
        A benchmarked study.
    model : dict
        Content of ``model.json`` in the model folder.
    """
    plan, board, comparisons = read_plan(paths.plan), read_leaderboard(paths), read_comparisons(paths)
    spec = benchmark_spec(paths)
    measure, confidence = ranking_measure(spec), spec.confidence
    dataset, splits = read_json(paths.dataset), read_record(paths.splits, Splits)
    names = (model["name"], f"{model['name']}{ENSEMBLE_SUFFIX}")
    source = files(__package__).joinpath("model_card.md.j2").read_text(encoding="utf-8")
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"quantity": tables.quantity, "number": tables.number}
    return environment.from_string(source).render(
        model=model,
        plan=plan,
        labels=sorted(plan.labels.items(), key=lambda pair: int(pair[0])),
        dataset=dataset,
        measure=measure,
        confidence=confidence,
        development=len(splits.development),
        test=len(splits.test),
        refit=bool(model.get("derivation", {}).get("refit")),
        taught=bool(model.get("derivation", {}).get("teacher")),
        winner=board.name[board.winner].iloc[0],
        headline=headline(board, comparisons, measure, confidence, plan.unit, independent_unit(splits, dataset)),
        separation=separation(splits, dataset),
        rows=[row for row in board.to_dict("records") if row["name"] in names],
    )


def with_runtimes(card: str, runtimes: Runtimes) -> str:
    """Return a model card with the latencies of the run-times as its last section, in place of an earlier one.

    Parameters
    ----------
    card : str
        Markdown.
    runtimes : Runtimes
        Content of ``runtimes.json``.
    """
    rows = []
    for name in runtimes.by_latency():
        time, parity = runtimes.latency[name], runtimes.parity.get(name)
        checked = (f"{100 * parity.agreement:.3f} %", f"{parity.difference:.1e}") if parity else ("", "")
        cells = (f"{name} {time.version}", time.precision, f"{tables.number(time.median_ms, 1)} ms", *checked)
        rows.append(f"| {' | '.join(cells)} |")
    device = runtimes.device
    threads = f"{device['threads']} thread{'s' if device['threads'] != 1 else ''}"
    shape = " x ".join(map(str, runtimes.input))
    section = f"""{HEADING}
Latency of one patch on {device["processor"]} with {threads}, and agreement of the float32 outputs with PyTorch on
random volumes. `voxnas predict --runtime auto` takes the fastest installed run-time. The exports have ONNX operator set
{runtimes.opset} and inputs of {shape}, float32.

| run-time | precision | latency | equal classes | relative difference |
|---|---|---|---|---|
"""
    return card.partition(HEADING)[0] + section + "\n".join(rows) + "\n"
