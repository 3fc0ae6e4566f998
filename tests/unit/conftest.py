"""Small study folders with the records of the workflow, written without a training."""

import json

import nibabel
import numpy as np
import pandas as pd
import pytest
from plans import input_view, run_plan, staged, volume_plan
from safetensors.numpy import save_file

from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.unet import UNet
from voxnas.core.architecture import Recipe, network_key
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import parse_settings
from voxnas.core.spec import STEP_VERSIONS, stage_spec
from voxnas.core.splits import Splits
from voxnas.core.trial import Network, Proposal, Result
from voxnas.data.ledger import ledger_file
from voxnas.io.clips import write_run
from voxnas.io.records import write_json, write_text
from voxnas.io.tables import write_table

SCANS, TEST, SEEDS = 14, 6, 2
MACS = 1_000_000


def _architecture(task, width):
    outputs, strides = {"segmentation": 3, "regression": 1}.get(task, 2), [[1, 1, 1], [2, 2, 2], [1, 2, 2]]
    fields = staged([width, 2 * width, 4 * width], out_channels=outputs, blocks=[1, 2, 1], strides=strides)
    return UNet(**fields, decoder_blocks=[1, 1]) if task == "segmentation" else CNN(**fields, block="residual")


def _case(task, scan, level, rng):
    """Scores of one scan; the higher the level, the better the network."""
    if task == "segmentation":
        a, b = np.clip(level + rng.normal(0, 0.02, 2), 0, 1)
        return {
            "dice": (a + b) / 2, "nsd": (a + b) / 2, "hd95_mm": 2.0 - level,
            "dice_1": a, "nsd_1": a, "hd95_mm_1": 2.0 - level,
            "dice_2": b, "nsd_2": b, "hd95_mm_2": 2.0 - level,
        }  # fmt: skip
    if task == "classification":
        target = ["control", "atrophy"][scan % 2]
        p = np.clip(0.5 + (level - 0.5) * (1 if target == "control" else -1) + rng.normal(0, 0.2), 0, 1)
        return {
            "target": target, "predicted": "control" if p > 0.5 else "atrophy",
            "probability_atrophy": 1 - p, "probability_control": p,
        }  # fmt: skip
    target = 30.0 + 5 * scan
    predicted = target + rng.normal(0, 20 * (1 - level))
    return {"target": target, "predicted": predicted, "absolute_error": abs(predicted - target)}


def make_fake_study(root, task="segmentation"):
    """Write a study of two methods and a baseline; `bayesian-1` is the winner by validation."""
    paths = StudyPaths(root)
    rng = np.random.default_rng(0)
    settings = parse_settings({"study": "fake", "task": task, "training": {"seeds": SEEDS}})
    for stage in STEP_VERSIONS.keys() - {"search"}:
        write_json(paths.spec(stage), stage_spec(settings, stage))
    names = [f"sub-{i:02d}" for i in range(SCANS)]
    images = root / "images"
    images.mkdir(parents=True)
    volume = np.zeros((10, 12, 8), np.uint8)
    volume[2:6, 3:8, 2:6], volume[5:8, 6:10, 3:7] = 1, 2
    for name in names:
        noise = rng.normal(100, 10, volume.shape) + 40 * volume
        nibabel.Nifti1Image(noise.astype(np.float32), np.diag([1, 1, 2, 1])).to_filename(images / f"{name}.nii.gz")
        nibabel.Nifti1Image(volume, np.diag([1, 1, 2, 1])).to_filename(images / f"{name}_dseg.nii.gz")
    write_table(
        paths.scans,
        pd.DataFrame(
            {
                "scan": names, "participant": names, "session": None, "site": None,
                "image": [str(images / f"{n}.nii.gz") for n in names],
                "label": [str(images / f"{n}_dseg.nii.gz") for n in names],
                "shape": "10x12x8", "spacing": "1x1x2", "orientation": "RAS", "dtype": "float32",
                "channels": 1, "frames": 1, "target": None, "subset": None, "sha256": "0" * 64, "content": names,
                "warnings": None,
            }
        ),
    )  # fmt: skip
    write_table(
        paths.excluded,
        pd.DataFrame(
            [{"scan": "sub-99", "stage": "index", "file": "sub-99.nii.gz", "reason": "the gzip <stream> ends"}]
        ),
    )
    labels = {"0": "background", "1": "anterior", "2": "posterior"}
    classes = ["atrophy", "control"]
    write_json(
        paths.dataset,
        {
            "schema_version": 1, "name": "fake", "layout": "bids", "task": task, "channels": ["T1w"],
            "labels": labels, "classes": classes, "target": "", "scans": SCANS, "excluded": 1,
            "identified": True, "doubt": "",
        },
    )  # fmt: skip
    write_json(paths.splits, Splits(test=names[:TEST], folds=[names[TEST:10], names[10:]]))
    strides = [(1, 1, 1), (2, 2, 2), (1, 2, 2)]
    write_json(
        paths.plan,
        volume_plan(task, (8, 16, 16), strides, outputs=3, labels=labels, classes=classes, spacing=(1, 1, 2)),
    )

    levels = {"bayesian-1": (8, 0.9), "random-1": (6, 0.85), "small": (4, 0.7)}
    networks = []
    for number, (name, (width, level)) in enumerate(levels.items()):
        source = {"small": "baseline-small"}.get(name, name.split("-")[0])
        baseline = source.removeprefix("baseline-") if source.startswith("baseline-") else None
        space = {"family": "unet", "parameters": {"kernel": 3}}
        spec = stage_spec(settings, "search", name=source, method="random", baseline=baseline, space=space)
        write_json(paths.spec(f"search-{source}"), spec)
        architecture, recipe = _architecture(task, width), Recipe()
        key = network_key(architecture, recipe)
        network = Network(
            key=key, name=name, source=source, architecture=architecture, recipe=recipe, samples=100,
            search_score=level - 0.05,
        )  # fmt: skip
        networks.append(network)
        write_json(paths.network(key) / "network.json", network)
        write_json(
            paths.network(key) / "profile.json",
            {
                "parameters": 1000 * width, "macs": MACS * width, "latency": {"median_ms": 2.5 * width},
                "inference_memory_mib": 10.0 * width, "training_memory_mib": 40.0 * width,
            },
        )  # fmt: skip
        for step in range(4):
            failed = number == 0 and step == 2
            proposal = Proposal(
                search=source, step=step, trial=f"t{step}", origin="random", architecture=architecture,
                recipe=recipe, samples=20,
            )  # fmt: skip
            result = Result(
                state="FAILED" if failed else "DONE", reason="loss is not finite" if failed else "", key=key,
                score=None if failed else level - 0.2 + 0.05 * step, samples=20, parameters=1000 * width,
                macs=MACS * width, cpu_seconds=10.0,
            )  # fmt: skip
            write_json(paths.step(source, step) / "proposal.json", proposal)
            write_json(paths.step(source, step) / "result.json", result)
            write_json(paths.step(source, step) / "run.json", {"cpu_seconds": 12.0})
        rows = []
        for seed in range(SEEDS):
            score = (-10 if task == "regression" else 1) * (level if task != "regression" else 1 - level)
            result = Result(
                state="DONE", key=key, score=score + 0.01 * seed, samples=100, parameters=1000 * width,
                macs=MACS * width, cpu_seconds=50.0,
            )  # fmt: skip
            write_json(paths.seed(key, seed) / "result.json", result)
            write_json(
                paths.seed(key, seed) / "run.json",
                {"host": "box", "device": "EPYC", "cpu_seconds": 60.0 + number, "versions": {"torch": "2"}},
            )
            (paths.seed(key, seed) / "weights.safetensors").write_bytes(b"weights of %s %d" % (key.encode(), seed))
            write_table(
                paths.seed(key, seed) / "curve.tsv",
                pd.DataFrame({"samples": [50, 100], "train_loss": [1.0, 0.5], "val_score": [0.5, level]}),
            )
        for seed in [*map(str, range(SEEDS)), "ensemble"]:
            for index, scan in enumerate(names[:TEST]):
                scores = _case(task, index, level + 0.01 * (seed == "ensemble"), rng)
                rows.append({"key": key, "seed": seed, "scan": scan, "participant": scan, "unit": scan, **scores})
        write_table(paths.cases(key), pd.DataFrame(rows))
        if task == "segmentation":
            folder = paths.cases(key).parent / "predictions"
            folder.mkdir(parents=True)
            for scan in names[:TEST]:
                moved = np.roll(volume, number % 2, axis=0)
                nibabel.Nifti1Image(moved, np.diag([1, 1, 2, 1])).to_filename(folder / f"{scan}.nii.gz")
    searches = {n.source: 4 for n in networks}
    write_json(
        paths.finalists,
        {"schema_version": 1, "searches": searches, "networks": [n.plain() for n in networks]},
    )
    lines = [
        json.dumps({"study": "fake", "reader": "evaluate", "key": n.key, "count": TEST, "time": "2026-01-01"})
        for n in networks
    ]
    write_text(ledger_file(paths), "\n".join(lines) + "\n")
    return paths


@pytest.fixture(scope="session")
def new_fake_study():
    """Function that writes a small study, see make_fake_study."""
    return make_fake_study


@pytest.fixture(scope="session")
def write_benchmark():
    """Function that writes the tables of the benchmark of a study."""
    from voxnas.benchmark.leaderboard import benchmark

    def write(paths):
        for path, table in zip((paths.leaderboard, paths.comparisons), benchmark(paths), strict=True):
            write_table(path, table)

    return write


@pytest.fixture(params=["segmentation", "classification", "regression"])
def fake_study(request, tmp_path):
    """Paths of a small study of each task."""
    return make_fake_study(tmp_path / "fake", request.param)


@pytest.fixture
def fake_segmentation(tmp_path):
    """Paths of a small segmentation study."""
    return make_fake_study(tmp_path / "fake")


@pytest.fixture(scope="session", params=["segmentation", "classification", "regression"])
def finished_study(request, tmp_path_factory, write_benchmark):
    """Paths of a study with benchmark and figures, for read-only tests."""
    from voxnas.report.figures import draw_figures

    paths = make_fake_study(tmp_path_factory.mktemp("studies") / "fake", request.param)
    write_benchmark(paths)
    draw_figures(paths, paths.figures)
    return paths


FRAMES, REGIONS, GRID = 20, 4, (2, 6, 5)


def make_timed_study(root, unit="run", runs=6, task="classification"):
    """Write runs with voxel values 100 x run + volume; each participant has two runs, and the last run is excluded."""
    paths = StudyPaths(root)
    names = [f"sub-{i // 2:02d}_run-{i % 2 + 1}" for i in range(runs)]
    records, views, people = {}, {}, {}
    folder = paths.runs(0)
    for i, name in enumerate(names):
        values = 100 * i + np.arange(FRAMES, dtype=np.float32)
        volumes = np.broadcast_to(values[:, None, None, None, None], (FRAMES, 1, *GRID))
        write_run(folder / f"{name}.zip", [volumes], volumes.shape, 4)
        people[name] = name.split("_")[0]
        series = values[:, None] + np.random.default_rng(i).normal(size=(FRAMES, REGIONS)).astype(np.float32)
        views[f"{name}/series"] = series.astype(np.float32)
        views[f"{name}/maps"] = np.full((2, *GRID), i, np.float32)
        views[f"{name}/connectivity"] = np.full((REGIONS, REGIONS), i, np.float32)
        target = ["young", "old"][i // 2 % 2] if task == "classification" else str(20.0 + i // 2)
        records[name] = {"frames": FRAMES, "target": target, "geometry": {}, "excluded": ""}
        if unit == "volume":
            records[name]["labels"] = [None, "old", None, "young", *[None] * (FRAMES - 4)]
            records[name]["blocks"] = [None, 0, None, 1, *[None] * (FRAMES - 4)]
    records[names[-1]]["excluded"] = "mean framewise displacement 0.9 mm is above 0.5"
    save_file(views, folder / "views.safetensors")
    write_json(folder / "records.json", records)
    write_text(
        paths.scans, "scan\tparticipant\tsha256\tcontent\n" + "".join(f"{n}\t{people[n]}\t{n}\t{n}\n" for n in names)
    )
    write_json(paths.splits, Splits(test=names[:2], folds=[names[2:4], names[4:]], units=people))
    found = {
        "clips": input_view(GRID, stages=1, frames=4),
        "maps": input_view(GRID, 2, stages=1),
        "series": input_view((1, 1, 4), REGIONS, stages=1),
        "connectivity": input_view((1, 4, 4), stages=1),
    }
    classes = ("old", "young") if task == "classification" else ()
    clip = {"frames": 4, "step": 2, "delay": 0, "per_run": 3}
    write_json(paths.plan, run_plan(found, task, unit, classes=classes, clip=clip))
    return paths


@pytest.fixture
def timed_study(tmp_path):
    """Function that writes a study of small preprocessed runs."""

    def make(unit="run", task="classification"):
        return make_timed_study(tmp_path / "timed", unit, task=task)

    return make
