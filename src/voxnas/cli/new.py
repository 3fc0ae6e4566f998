"""``voxnas new``: write a commented study file for a data set.

The names and targets of the scans are read, their voxels are not: ``voxnas validate`` reads those. Budgets are CPU
seconds that fill the requested hours on this machine.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxnas.data.layout import Candidate, Layout

EXAMPLE = "example: voxnas new hippocampus-2 --data ~/data/Task04_Hippocampus --hours 2"
USED = 0.7  # share of the processor time of the requested hours that trainings take; the rest: data, benchmark, report
FULL = 4  # budget of a training of a finalist, relative to a trial of the search
STEPS, SEEDS = 10, 2
NO_TARGETS = ("scan", "participant_id", "site")  # columns of a table beside its targets
SHOWN = 8  # classes or labels in a comment
UNCROPPED = """
# Zeros at the edges of a sample are part of it.
preprocess: {crop: false}"""
FILE = """\
# {name}: {found}.
#   voxnas validate {path}{options}
#   voxnas estimate {name}      (trainings, time, memory and disk space)
#   voxnas run {name}
# config/README.md lists all settings and their defaults; docs/reference/data.md describes the layouts.
study: {name}
task: {task}
# The data set. --config data_root=PATH replaces the folder on another machine.
data_root: {path}
data:
  layout: {layout}
{data}{crop}
# {split}
splits: {{test: 0.2, folds: {folds}}}
# {steps} trials of each method, and as many trials of recipes for each hand-made network.
search:
  methods: [voxnas, random]
  steps: {steps}
  window: {window}
  # {trials} trials and {trainings} full trainings fill {share:.0%} of {hours:g} h on {cores} cores of this machine.
  # For a repetition on another processor, state the budgets in samples.
  budget: {{amount: {amount}, unit: cpu_seconds}}
  # Largest number of parameters of a network; it applies to the hand-made networks that are scaled to the limits, too.
  limits: {{parameters: {parameters}}}
# Each finalist and each hand-made network is trained {seeds} times with the full budget.
training:
  seeds: {seeds}
  budget: {{amount: {full}, unit: cpu_seconds}}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("study", metavar="STUDY", help="name of the study; writes config/studies/STUDY.yaml")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="folder or archive of the data set")
    parser.add_argument("--target", default="", help="column of the targets, for classification or regression")
    parser.add_argument("--suffix", default="T1w", help="BIDS: suffix of the images (default: T1w)")
    parser.add_argument("--hours", type=float, default=1.0, help="time that the study may take here (default: 1)")


def run(arguments: argparse.Namespace) -> None:
    """Read the data set and write the file."""
    from voxnas.arch.study_outline import final_networks, searches_of
    from voxnas.core.errors import UserError
    from voxnas.core.host import processors
    from voxnas.core.settings import StudySettings, parse_settings
    from voxnas.core.study_files import read_yaml
    from voxnas.io.records import write_text

    name, file = arguments.study, Path("config", "studies", f"{arguments.study}.yaml")
    parse_settings({"study": name}, "the command line")
    if file.exists():
        raise UserError(f"{file} exists", "choose another name, or delete the file")
    if not 0 < arguments.hours < 10_000:
        raise UserError(f"--hours {arguments.hours:g} is no duration", "give a number above 0")
    path = arguments.data.expanduser().absolute()
    layout, task = _look(path, arguments.target, arguments.suffix)
    usable = [c for c in layout.candidates if not c.problem and (c.label if task == "segmentation" else c.target)]
    participants, cores = len({c.participant for c in usable}), processors()
    outline = StudySettings.model_validate({"task": task, "search": {"steps": STEPS}, "training": {"seeds": SEEDS}})
    trials, trainings = sum(filter(None, searches_of(outline).values())), final_networks(outline) * SEEDS
    amount = max(1, round(USED * arguments.hours * 3600 * cores / (trials + FULL * trainings)))
    known = {"suffix": arguments.suffix if layout.kind == "bids" else "", "target": arguments.target}
    options = {key: value for key, value in known.items() if value and value != "T1w"}
    text = FILE.format(
        name=name,
        found=f"{task}, {len(usable)} scans with a {'label map' if task == 'segmentation' else 'target'} of "
        f"{participants} participants ({layout.kind.upper()} data set {layout.name})",
        path=json.dumps(str(path), ensure_ascii=False),
        options="".join(f" --{key} {value}" for key, value in options.items()),
        task=task,
        layout=layout.kind,
        data="\n".join(
            [
                *(f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in known.items() if value),
                f"  # {_describe(layout, usable, task)}",
            ]
        ),
        crop=UNCROPPED if layout.kind == "arrays" else "",
        split="The locked test split and the folds are drawn by participant."
        if layout.identified
        else "Participants are unknown, so that every scan counts as one; data.participant can name them.",
        folds=5 if participants >= 25 else 3 if participants >= 10 else 2,
        steps=STEPS,
        window=2 * cores,
        trials=trials,
        trainings=trainings,
        share=USED,
        hours=arguments.hours,
        cores=cores,
        amount=amount,
        full=FULL * amount,
        parameters=1_000_000,
        seeds=SEEDS,
    )
    write_text(file, text)
    parse_settings(read_yaml(file), str(file))
    print(f"wrote {file}: {task} of {len(usable)} scans. Then: voxnas estimate {name}, voxnas run {name}")


def _look(path: Path, target: str, suffix: str) -> tuple["Layout", str]:
    """Read the names and targets of a data set; a UserError if no study of volumes with a task can be made of it."""
    from voxnas.cli.validate import infer_task
    from voxnas.core.errors import UserError
    from voxnas.core.settings import DataSettings, validated
    from voxnas.data.bids_names import TIME_SUFFIXES
    from voxnas.data.index import dataset_root, find_layout, read_layout

    data = validated(DataSettings, {"target": target, "suffix": suffix}, "the command line", ("data",))
    kind = find_layout(dataset_root(path, data))
    if kind == "timeseries" or suffix in TIME_SUFFIXES:
        raise UserError(
            f"{path} holds time series", "copy a study of them: phantom-fmri, haxby or abide in config/studies"
        )
    task = infer_task(path, data)
    if task is None or (kind == "npz" and not target):
        columns = _columns(path)
        raise UserError(
            f"{path} has no label maps, and --target names no column",
            f"give --target with one of: {', '.join(columns)}" if columns else "add participants.tsv or label maps",
        )
    layout = read_layout(path, task, data)
    if not layout.candidates:
        raise UserError(f"{path} has no scans", "check --data and --suffix")
    if task != "segmentation" and not any(c.target for c in layout.candidates):
        raise UserError(f"no scan in {path} has a value of {target!r}", "check --target")
    return layout, task


def _columns(path: Path) -> list[str]:
    """Columns of the table that may be targets, or arrays of an archive."""
    import numpy as np

    from voxnas.data.labelled_arrays import is_arrays, read_targets

    if is_arrays(path):
        return [column for column in next(iter(read_targets(path)), {}) if column not in NO_TARGETS]
    file = path / "participants.tsv"
    if file.is_file():
        with file.open(encoding="utf-8-sig") as lines:
            return [column for column in lines.readline().rstrip("\n").split("\t") if column != "participant_id"]
    archives = sorted(path.glob("*.npz")) if path.is_dir() else [path] if path.suffix == ".npz" else []
    names = {name.partition("_")[2] for archive in archives for name in np.load(archive).files}
    return sorted(names - {"images", "participants"})


def _describe(layout: "Layout", usable: list["Candidate"], task: str) -> str:
    """Describe the labels, the classes or the range of the target."""
    channels = f"channels: {', '.join(layout.channels)}"
    if task == "segmentation":
        labels = [f"{value} {name}" for value, name in layout.labels.items()]
        return f"{channels}; labels: {_listed(labels) or 'those in the label maps'}"
    targets = [str(c.target) for c in usable]
    if task == "classification":
        return f"{channels}; scans of each class: {_listed([f'{k} {n}' for k, n in sorted(Counter(targets).items())])}"
    from voxnas.data.participants import number_or_none

    numbers = [number for target in targets if (number := number_or_none(target)) is not None]
    return f"{channels}; target from {min(numbers):g} to {max(numbers):g}"


def _listed(texts: list[str]) -> str:
    return ", ".join(texts[:SHOWN]) + (f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else "")
