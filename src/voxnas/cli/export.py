"""``voxnas export``: write a model folder's networks as ONNX and OpenVINO, checked against PyTorch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxnas.deploy.runtimes import Runtimes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder, results/<study>/model")
    parser.add_argument(
        "--to",
        nargs="+",
        choices=("onnx", "openvino"),
        default=["onnx", "openvino"],
        help="formats to write into the model folder (default: both)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Export the model and print the parity and the latency of each run-time."""
    from voxnas.deploy.predict import read_model_plan

    read_model_plan(arguments.model)
    runtimes = export(arguments.model, arguments.to)
    for name in runtimes.by_latency():
        parity = runtimes.parity.get(name)
        checked = f", {100 * parity.agreement:.3f} % of the classes as PyTorch" if parity else ""
        print(f"{name}: {runtimes.latency[name].median_ms:.1f} ms a patch{checked}")


def export(folder: Path, names: Sequence[str]) -> Runtimes:
    """Export a model folder to the formats in `names`, and state the latencies in its model card."""
    from voxnas.deploy.export import write_exports
    from voxnas.io.records import write_text
    from voxnas.report.model_card import with_runtimes

    runtimes, card = write_exports(folder, names), folder / "README.md"
    write_text(card, with_runtimes(card.read_text(encoding="utf-8") if card.exists() else "", runtimes))
    return runtimes
