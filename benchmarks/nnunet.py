"""nnU-Net on the scans of a study, on the processor, with the processor time of the study.

nnU-Net v2 is installed in an environment of its own. It gets the scans of all folds of a preprocessed study of
segmentation (``snakemake --until preprocess``), plans and preprocesses them, and trains its default network
(``3d_fullres``, fold ``all``) with its own trainer, augmentation and polynomial schedule on two threads. A short
training measures the processor time of an iteration; the schedule then spans the iterations that fit into the
core-minutes. nnU-Net finally predicts the locked test scans with mirroring, and the measure of the study scores them;
the ledger of the study records this read.

    python benchmarks/nnunet.py results/hippocampus --core-minutes 160

The core-minutes are the processor time of all processes of the training, its start and checkpoints included. Planning,
preprocessing, measurement and prediction are outside them and have columns of their own. The same command continues an
interrupted run from its last epoch; the processor time of lost iterations is not counted. nnU-Net has no seed, so that
two runs differ.

Writes <N>-core-minutes.tsv (one row per test scan, for the setting benchmark.published) and a row of nnunet.tsv.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from voxnas.benchmark.metrics import segmentation_scores
from voxnas.core.errors import UserError
from voxnas.core.host import processor_name
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.data.ledger import open_test
from voxnas.io.nifti import load_label
from voxnas.io.records import read_json, read_record
from voxnas.io.tables import read_table, write_table

TORCH, NNUNET = "2.13.0", "2.8.1"
CORES = 2
WORKERS = 1  # processes that augment: one augments a batch in less time than an iteration takes
EPOCHS = 50  # about, at most; the learning rate changes with the epoch
EPOCH_SECONDS = 60.0  # processor time of an epoch, at least, in which its checkpoint is small
DATASET, TRAINER, ENDING = "Dataset001_Study", "CoreMinutesTrainer", ".nii.gz"
TRAINED = Path(DATASET) / f"{TRAINER}__nnUNetPlans__3d_fullres" / "fold_all"
PARENT_DEATH_SIGNAL = 1  # of prctl


def install(environment: Path) -> None:
    """Make the environment of nnU-Net, unless it is complete, and add the trainer."""
    if not (environment / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        pip = [str(environment / "bin" / "pip"), "install", "--quiet"]
        constraints = environment / "constraints.txt"
        constraints.write_text(f"torch=={TORCH}\n")
        subprocess.run([*pip, f"torch=={TORCH}"], check=True)
        subprocess.run([*pip, "--constraint", constraints, f"nnunetv2=={NNUNET}", "psutil"], check=True)
        (environment / "complete").touch()
    # nnU-Net searches this folder before others, whose trainers import packages that depend on the build of torch.
    folder = next(environment.glob("lib/python*/site-packages/nnunetv2/training/nnUNetTrainer"))
    shutil.copy(Path(__file__).parent / "nnunet_trainer.py", folder / "core_minutes_trainer.py")


def link_images(folder: Path, images: Mapping[str, str], scans: Iterable[str]) -> None:
    """Link the images of scans under the names that nnU-Net expects: ``<scan>_<channel>.nii.gz``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for scan in scans:
        for channel, image in enumerate(images[scan].split(";")):
            if not image.endswith(ENDING):
                raise UserError(f"{image}: nnU-Net gets {ENDING} files only here", "compress the images")
            (folder / f"{scan}_{channel:04d}{ENDING}").symlink_to(Path(image).resolve())


def link_dataset(paths: StudyPaths, folder: Path) -> None:
    """Lay out the scans of all folds, and no test scan, as a raw data set of nnU-Net."""
    splits, facts = read_record(paths.splits, Splits), read_json(paths.dataset)
    rows = read_table(paths.scans, {"scan": str, "image": str, "label": str}).set_index("scan")
    scans = sorted(splits.development)
    link_images(folder / "imagesTr", rows.image, scans)
    link_images(folder / "labelsTr", rows.label, scans)
    for label in (folder / "labelsTr").iterdir():
        label.rename(label.with_name(label.name.replace(f"_0000{ENDING}", ENDING)))
    description = {
        "channel_names": dict(enumerate(facts["channels"])),
        "labels": {name: int(value) for value, name in facts["labels"].items()},
        "numTraining": len(scans),
        "file_ending": ENDING,
    }
    (folder / "dataset.json").write_text(json.dumps(description))


def plan_epochs(budget: float, start: float, iteration: float, epoch: float) -> tuple[int, int]:
    """Number of epochs, and of iterations in each, of a training that ends with its budget.

    Parameters
    ----------
    budget : float
        Processor time of the training in s.
    start, iteration, epoch : float
        Measured processor time in s before the first epoch, of one iteration, and of an epoch without its iterations.

    Raises
    ------
    UserError
        If not one iteration fits.
    """
    epochs = max(1, min(EPOCHS, int((budget - start) // max(EPOCH_SECONDS, 2 * epoch))))
    iterations = int(((budget - start) / epochs - epoch) / iteration)
    if iterations < 1:
        raise UserError(f"{budget / 60:g} core-minutes end before the first iteration", "raise --core-minutes")
    return int((budget - start) / (epoch + iterations * iteration)), iterations  # whole iterations may leave an epoch


class NnUNet:
    """The commands of nnU-Net in its environment, with data in a folder.

    Parameters
    ----------
    environment, work : path
        Virtual environment; folder of the raw and preprocessed data.
    """

    def __init__(self, environment: Path, work: Path) -> None:
        self.bin, self.work = environment / "bin", work

    def run(self, results: Path, command: str, *options: object, **variables: object) -> float:
        """Run a command, with its output in ``results/log.txt``; return its processor time in s."""
        results.mkdir(parents=True, exist_ok=True)
        folders = {"nnUNet_raw": self.work / "raw", "nnUNet_preprocessed": self.work / "preprocessed"}
        folders["nnUNet_results"] = results
        workers = {"nnUNet_n_proc_DA": WORKERS, "nnUNet_def_n_proc": CORES, "BENCHMARK_THREADS": CORES}
        threads = dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1
        )  # as nnU-Net has them
        added = {name: str(value) for name, value in {**folders, **workers, **threads, **variables}.items()}
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with open(results / "log.txt", "a") as log:
            process = subprocess.Popen(
                [str(self.bin / command), *map(str, options)],
                env=kept | added,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL),
            )
            _, status, usage = os.wait4(process.pid, 0)
        if code := os.waitstatus_to_exitcode(status):
            raise UserError(f"{command} failed with status {code}", f"see {results / 'log.txt'}")
        return usage.ru_utime + usage.ru_stime

    def train(self, results: Path, epochs: int, iterations: int) -> list[dict[str, Any]]:
        """Train, or continue a training, with a polynomial schedule over the epochs; return the lines of its log."""
        options = (1, "3d_fullres", "all", "-tr", TRAINER, "-device", "cpu", "--c")
        if not (results / TRAINED / "checkpoint_final.pth").exists():
            self.run(results, "nnUNetv2_train", *options, BENCHMARK_EPOCHS=epochs, BENCHMARK_ITERATIONS=iterations)
        return [json.loads(line) for line in (results / TRAINED / "progress.jsonl").read_text().splitlines()]

    def prepare(self, paths: StudyPaths) -> dict[str, float]:
        """Plan, preprocess and measure, unless done; return the processor times in s."""
        done, splits = self.work / "prepared.json", read_json(paths.splits)
        if done.exists():
            prepared = read_json(done)
            if prepared.pop("splits") != splits:
                raise UserError(f"{self.work} holds the scans of other splits", "remove it, or name another --work")
            return prepared
        for name in ("raw", "preprocessed", "measurement", "*-core-minutes"):  # trainings of another schedule
            for folder in self.work.glob(name):
                shutil.rmtree(folder)
        link_dataset(paths, self.work / "raw" / DATASET)
        options = ("-d", 1, "-c", "3d_fullres", "-npfp", CORES, "-np", CORES, "--verify_dataset_integrity")
        prepare = self.run(self.work / "preparation", "nnUNetv2_plan_and_preprocess", *options)
        iterations = 5
        lines = self.train(self.work / "measurement", 2, iterations)  # the first epoch allocates memory
        start, trained, end = (line["cpu_seconds"] for line in lines[3:6])
        measured = {
            "prepare": prepare,
            "measure": lines[-1]["cpu_seconds"],
            "start": lines[0]["cpu_seconds"],
            "iteration": (trained - start) / iterations,
            "epoch": end - trained,
        }
        done.write_text(json.dumps(measured | {"splits": splits}))
        return measured

    def predict(self, results: Path, paths: StudyPaths) -> tuple[pd.DataFrame, float]:
        """Predict and score the locked test scans; return the scores and the processor time of the prediction in s."""
        rows = read_table(paths.scans, {"scan": str, "image": str, "label": str}).set_index("scan")
        labels = sorted(map(int, read_json(paths.dataset)["labels"]))
        scans = open_test(paths, "nnunet", results.name)
        images, maps = results / "test", results / "predictions"
        link_images(images, rows.image, scans)
        options = ("-i", images, "-o", maps, "-d", 1, "-c", "3d_fullres", "-f", "all", "-tr", TRAINER)
        spent = self.run(results, "nnUNetv2_predict", *options, "-device", "cpu", "-npp", 1, "-nps", 1)
        cases = []
        for scan in scans:
            found, truth = (load_label(p, labels) for p in (maps / f"{scan}{ENDING}", rows.label[scan]))
            scores = segmentation_scores(np.asarray(found), np.asarray(truth), [n for n in labels if n], (1, 1, 1), 1)
            cases.append({"scan": scan} | {name: v for name, v in scores.items() if name.startswith("dice")})
        return pd.DataFrame(cases), spent


def main() -> None:
    """Install, prepare, train, predict, score, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=Path("results/hippocampus"), help="folder of the study")
    parser.add_argument("--core-minutes", type=float, default=160.0, help="processor time of the training")
    parser.add_argument("--environment", type=Path, default=Path("results/nnunet/.venv"), help="made if it is missing")
    parser.add_argument("--work", type=Path, default=Path("results/nnunet"), help="folder of nnU-Net's files")
    parser.add_argument("--output", type=Path, help="folder of the tables; default: that of --work")
    arguments = parser.parse_args()
    paths, output = StudyPaths(arguments.study), arguments.output or arguments.work
    if not paths.plan.exists() or not paths.splits.exists():
        parser.exit(0, f"skipped: {arguments.study} is not preprocessed; run snakemake with --until preprocess\n")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    install(arguments.environment.absolute())
    nnunet = NnUNet(arguments.environment.absolute(), arguments.work.resolve())
    try:
        measured = nnunet.prepare(paths)
        costs = {name: measured[name] for name in ("start", "iteration", "epoch")}
        epochs, iterations = plan_epochs(arguments.core_minutes * 60, **costs)
        print(f"{epochs} epochs of {iterations} iterations", flush=True)
        name = f"{arguments.core_minutes:g}-core-minutes"
        lines = nnunet.train(nnunet.work / name, epochs, iterations)
        cases, predicted = nnunet.predict(nnunet.work / name, paths)
    except UserError as error:
        parser.exit(2, f"{error}\n")
    last, total = lines[-1], epochs * iterations
    row = {
        "core_minutes": arguments.core_minutes,
        "train_core_minutes": round(last["cpu_seconds"] / 60, 2),
        "prepare_core_minutes": round((measured["prepare"] + measured["measure"]) / 60, 2),
        "predict_core_minutes": round(predicted / 60, 2),
        "iterations": total,
        "samples": total * last["batch_size"],
        "parameters": last["parameters"],
        "dice": round(cases.dice.mean(), 5),
        "peak_memory_mib": round(max(line["peak_memory_mib"] for line in lines)),
        "processor": processor_name(),
        "nnunetv2": NNUNET,
        "torch": TORCH,
    }
    output.mkdir(parents=True, exist_ok=True)
    write_table(output / f"{name}.tsv", cases.round(5))
    table, summary = pd.DataFrame([row]), output / "nnunet.tsv"
    if summary.exists():
        others = read_table(summary, {"core_minutes": float})
        table = pd.concat([others[others.core_minutes != arguments.core_minutes], table.astype(object)])
    write_table(summary, table)
    print(pd.Series(row).to_string())


if __name__ == "__main__":
    main()
