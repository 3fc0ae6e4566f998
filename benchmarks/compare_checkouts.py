"""Compare the numbers that two checkouts of the project compute, on short studies.

A refactoring must not change results. Unit tests cannot establish this, because they often tolerate a changed number.
Each study runs in both checkouts, with the Snakefile and source of the checkout and the Python interpreter of this
script. The records are compared field by field, as text: proposals, results, curves, networks, tables, scores.

    python benchmarks/compare_checkouts.py BEFORE AFTER                    runs both; results/checkouts/{before,after}
    python benchmarks/compare_checkouts.py BEFORE --work FOLDER            runs one, in FOLDER/before
    python benchmarks/compare_checkouts.py FOLDER/before AFTER [--studies tiny clips]

A side is a checkout, or the folder of an earlier run, which is not repeated. Without sides, this checkout runs twice,
which tests that the studies are deterministic. Both sides must run on the same machine, because processors differ in
rounding. All budgets are in samples, so that no decision depends on a clock, and one thread is used. The exit status is
1 if a record differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import yaml

PROJECT = Path(__file__).resolve().parents[1]

# Entries for a refactoring that renames; they are removed after its verification. Records of BEFORE are translated:
RENAMED: dict[str, str] = {}  # pattern of `<kind>/<field>` in BEFORE -> replacement, as in re.sub; "" drops the field
ADDED: dict[str, Any] = {}  # `<kind>/<field>` that exists in AFTER only -> its value for records without it
SETTINGS: dict[str, str] = {}  # setting of the studies below -> its name in BEFORE

# Measured fields, and the digest of the store, which depends on field names and the step version.
LEFT_OUT = {
    "latency", "latency_ms", "training_step", "inference_memory_mib", "training_memory_mib", "peak_memory_mib",
    "train_memory_mib", "energy", "device", "cpu_seconds", "search_seconds_predicted",
    "search_seconds_measured", "train_seconds_predicted", "train_seconds_measured", "store",
}  # fmt: skip

KINDS = {  # kinds of records and their files
    "proposals": ["search/*/steps/*/proposal.json"],
    "results": ["search/*/steps/*/result.json", "networks/*/seed-*/result.json"],
    "curves": ["search/*/steps/*/curve.tsv", "networks/*/seed-*/curve.tsv"],
    "trials": ["search/*/trials.tsv"],
    "networks": ["networks/*/network.json"],
    "profiles": ["networks/*/profile.json"],
    "cases": ["evaluation/*/*.tsv"],
    "leaderboard": ["leaderboard.tsv"],
    "comparisons": ["comparisons.tsv"],
    "cross_validation": ["cross_validation.tsv"],
}

Records = dict[str, dict[str, str]]


class Study(NamedTuple):
    """A settings file of the checkout, the changed settings, and the requested tables."""

    base: str
    changes: Mapping[str, Any] = {}
    goals: tuple[str, ...] = ("leaderboard.tsv",)


TABLES = ("leaderboard.tsv", "cross_validation.tsv")
RUNS, ATLAS = "config/test/runs.yaml", "atlas.nii.gz"
STUDIES = {
    "tiny": Study("config/test/tiny.yaml"),
    "phantom": Study(
        "config/studies/phantom.yaml",
        {"search.steps": 10, "search.budget.amount": 32, "baselines.names": []},
        ("search/voxnas/trials.tsv", "search/random/trials.tsv"),
    ),
    "classification": Study(
        "config/test/tiny.yaml",
        {
            "task": "classification",
            "data.phantom.participants": 16,
            "search.steps": 6,
            "search.start": False,
            "search.promotion": "asha",
            "search.options.asha": {"rungs": 2, "factor": 2},
            "baselines": {"names": ["sfcn", "linear"], "steps": 1},
            "benchmark.cross_validate": True,
        },
        TABLES,
    ),
    "clips": Study(
        RUNS,
        {"search.steps": 3, "search.options.voxnas.initial": 2, "baselines.names": ["voxel-ridge", "cnn-gru"]},
        TABLES,
    ),
    "connectivity": Study(
        RUNS,
        {
            "data.phantom.participants": 6,
            "clips": {"unit": "run", "views": ["connectivity", "maps"], "atlas": ATLAS},
            "splits": {"unit": "participant", "test": 0.25, "folds": 2},
            "search.methods": ["bayesian"],
            "search.steps": 5,
            "search.options.bayesian": {"initial": 2, "surrogate": "forest"},
            "baselines.names": ["connectivity-cnn", "connectivity-svm", "maps-ridge"],
        },
        TABLES,
    ),
    "recipes": Study(
        "config/test/tiny.yaml",
        {
            "task": "regression",
            "data.phantom.participants": 16,
            "search.methods": ["random"],
            "search.space": "cells-cnn",
            "baselines": {"names": ["sfcn", "linear"], "steps": 4},
        },
    ),
}


def run_study(name: str, checkout: Path, folder: Path, cores: int, renamed: Mapping[str, str]) -> None:
    """Run a study from its beginning with the workflow of a checkout, in `folder`, with renamed settings."""
    study, root = STUDIES[name], Path("results") / name
    settings = yaml.safe_load((checkout / study.base).read_text()) or {}
    for key, value in {"study": name, **study.changes}.items():
        *parents, last = renamed.get(key, key).split(".")
        place = settings
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    shutil.rmtree(folder / root, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(settings))
    write_atlas(folder / ATLAS)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    options = ["--snakefile", checkout / "Snakefile", "--directory", folder, "--configfile", file, "--cores", cores]
    command = [sys.executable, "-m", "snakemake", *options, "--", *(root / goal for goal in study.goals)]
    log, began = folder / f"{name}.log", time.monotonic()
    with open(log, "w") as output:
        if subprocess.run(list(map(str, command)), env=environment, stdout=output, stderr=output).returncode:
            raise SystemExit(f"{name} of {checkout} failed; see {log}")
    print(f"{name}: run by {checkout} in {time.monotonic() - began:.0f} s", flush=True)


def write_atlas(path: Path) -> None:
    """Write a label image of 80 cubes of 32 mm over the brain."""
    affine = np.array([[32, 0, 0, -48], [0, 32, 0, -81], [0, 0, 32, -30], [0, 0, 0, 1]], float)  # mm
    nib.save(nib.Nifti1Image(np.arange(1, 81, dtype=np.int16).reshape(4, 5, 4), affine), path)


def read_records(root: Path, kind: str) -> Records:
    """Fields of each record of a kind, by the name of its file and, for tables, the number of the row."""
    records: Records = {}
    for path in (path for pattern in KINDS[kind] for path in root.glob(pattern)):
        name = str(path.relative_to(root))
        if path.suffix == ".json":
            records[name] = dict(fields_of(json.loads(path.read_text())))
        else:
            with open(path, newline="") as file:
                rows = csv.DictReader(file, delimiter="\t")
                records |= {f"{name} row {number}": dict(row) for number, row in enumerate(rows, 1)}
    return records


def fields_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of a JSON value as text, by their dotted path."""
    if value and isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from fields_of(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(value)


def in_new_words(kind: str, fields: Mapping[str, str]) -> dict[str, str]:
    """A record of BEFORE with the field names of AFTER."""
    words = {}
    for field, value in fields.items():
        name = f"{kind}/{field}"
        for old, new in RENAMED.items():
            name = re.sub(old, new, name)
        if name:
            words[name.removeprefix(f"{kind}/")] = value
    added = {k.removeprefix(f"{kind}/"): json.dumps(v) for k, v in ADDED.items() if k.startswith(f"{kind}/")}
    return added | words


def differences(before: Records, after: Records) -> list[str]:
    """One line per differing record, in the order of the steps."""
    lines = []
    for name in sorted(before.keys() | after.keys(), key=in_order):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            lines.append(f"{name} is missing {'before' if old is None else 'after'}")
            continue
        fields = [field for field in old | new if old.get(field) != new.get(field)]
        if fields:
            lines.append(f"{name} {fields[0]}: {old.get(fields[0])} -> {new.get(fields[0])}")
    return lines


def in_order(name: str) -> list[str | int]:
    """Sort key with numbers in numerical order."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def compare_study(name: str, before: Path, after: Path) -> tuple[int, set[str]]:
    """Print one line per kind of record; return the number of differing records, and the excluded fields."""
    total, left_out = 0, set()
    sides = before / "results" / name, after / "results" / name
    for kind in KINDS:
        old, new = (read_records(side, kind) for side in sides)
        old = {record: in_new_words(kind, fields) for record, fields in old.items()}
        for fields in (*old.values(), *new.values()):
            for field in list(fields):
                if measured := LEFT_OUT.intersection(field.split(".")):
                    del fields[field]
                    left_out |= {f"{kind}/{word}" for word in measured}
        found = differences(old, new)
        total += len(found)
        if old or new:
            first = f"; first: {found[0]}" if found else ""
            print(f"{name:14} {kind:16} {len(old | new):5} compared, {len(found)} differ{first}", flush=True)
    return total, left_out


def main() -> None:
    """Run, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sides", type=Path, nargs="*", metavar="BEFORE AFTER", help="checkouts, or folders of results")
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--work", type=Path, default=Path("results/checkouts"), help="folder of the runs (kept)")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    if len(arguments.sides) > 2:
        parser.error("give two sides, BEFORE and AFTER")
    sides = [side.resolve() for side in arguments.sides] or [PROJECT, PROJECT]
    folders = [
        arguments.work.resolve() / place if (side / "Snakefile").exists() else side
        for side, place in zip(sides, ("before", "after"), strict=False)
    ]
    differ, left_out = 0, set()
    for name in arguments.studies:
        for side, folder, renamed in zip(sides, folders, (SETTINGS, {}), strict=False):
            if folder != side:
                run_study(name, side, folder, arguments.cores, renamed)
            elif not (folder / "results" / name).is_dir():
                parser.error(f"{folder} is no checkout, and has no results/{name} of an earlier run")
        if len(folders) == 2:
            found, fields = compare_study(name, *folders)
            differ, left_out = differ + found, left_out | fields
    if len(folders) == 2:
        print(f"left out: {', '.join(sorted(left_out))}")
        print(f"{differ} records differ" if differ else "everything that was compared is identical")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
