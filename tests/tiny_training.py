"""A study of tiny preprocessed scans, as the stages before training write them."""

import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
import torch
from plans import changed, staged, volume_plan
from safetensors.torch import save_file

from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.unet import UNet
from voxnas.core.architecture import Recipe
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import StudySettings
from voxnas.core.spec import TrainSpec, stage_spec
from voxnas.core.splits import Splits
from voxnas.core.training import Fit
from voxnas.core.trial import Proposal
from voxnas.data.dataset import StudyData
from voxnas.data.digest import data_digest
from voxnas.io.records import read_json, read_record, write_json, write_text
from voxnas.nn.build import build_network
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.loop import TrainingContext, fit
from voxnas.training.metrics import Validation
from voxnas.training.run_options import RunOptions
from voxnas.training.sampling.patches import PatchSampler
from voxnas.training.steps.factory import make_step
from voxnas.training.store import Entry, store_digest
from voxnas.training.targets import Targets
from voxnas.training.worker import train_entry, training_scans

PATCH = (8, 8, 8)
PATIENCE = 300  # seconds, on a machine that is busy with other tests
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def make_study(root, task="segmentation", scans=8, batch_size=2, validations=2, patience=0):
    """Write a study whose scans are a bright ball (segmentation) or of a brightness that is the target."""
    paths = StudyPaths(root)
    rng = np.random.default_rng(0)
    names = [f"sub-{i:02d}" for i in range(scans)]
    tensors, records = {}, {}
    for i, name in enumerate(names):
        shape = (8, 10, 9) if task == "segmentation" else PATCH
        centre = [rng.uniform(3, n - 3) for n in shape]
        grid = np.indices(shape)
        ball = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) < 6
        image = rng.normal(0, 0.5, shape) + 3 * ball
        target = None
        if task == "segmentation":
            tensors[f"{name}/label"] = torch.from_numpy(ball.astype(np.uint8))
        else:
            image = image + 2 * (i % 2)
            target = ["control", "atrophy"][i % 2] if task == "classification" else str(50 + 10 * (i % 2) + i / 10)
        tensors[f"{name}/image"] = torch.from_numpy(image.astype(np.float32))[None]
        records[name] = {"geometry": {}, "target": target}
    paths.shard(0).parent.mkdir(parents=True)
    save_file(tensors, paths.shard(0))
    write_json(paths.shard(0).with_suffix(".json"), records)
    rows = "".join(f"{name}\t{name}\t{i:064d}\n" for i, name in enumerate(names))
    write_text(paths.scans, "scan\tparticipant\tsha256\n" + rows)
    write_json(paths.splits, Splits(test=names[:2], folds=[names[2:4], names[4:]]))
    labels = {"0": "background", "1": "ball"}
    outputs = 1 if task == "regression" else 2
    plan = volume_plan(task, PATCH, outputs=outputs, labels=labels if task == "segmentation" else {})
    write_json(paths.plan, plan)
    training = {
        "batch_size": batch_size,
        "precision": "float32",
        "validations": validations,
        "patience": patience,
        "foreground": 0.5,
    }
    settings = StudySettings.model_validate({"task": task, "seed": 7, "training": training})
    write_json(paths.spec("train"), stage_spec(settings, "train"))
    return paths


def write_folds(paths, *bounds):
    """Divide the scans of all folds anew, at these positions."""
    splits = read_json(paths.splits)
    names = [name for fold in splits["folds"] for name in fold]
    parts = [names[a:b] for a, b in pairwise([0, *bounds, len(names)])]
    write_json(paths.splits, {**splits, "folds": parts})


def make_job(task="segmentation", samples=8, kind=Fit, **changes):
    """A training of a network of a few hundred weights."""
    fields = staged([4, 8, 8], out_channels=1 if task == "regression" else 2)
    if task == "segmentation":
        architecture = UNet(**fields, decoder_blocks=[1, 1], deep_supervision=True)
    else:
        architecture = CNN(**fields, dropout=0.2)
    loss = {"segmentation": "dice_ce", "classification": "ce", "regression": "mse"}[task]
    fields = {"architecture": architecture, "recipe": Recipe(loss=loss), "fold": 0, "seed": 3, "samples": samples}
    return kind(**{**fields, **changes})


def make_context(folder, **options):
    """Context of a training in a new folder, with run options and other fields by name."""
    folder.mkdir(exist_ok=True)
    how = {name: options.pop(name) for name in list(options) if name in RunOptions.model_fields}
    return TrainingContext(folder=folder, options=RunOptions(**how), **options)


def run_fit(paths, job, context, prepare=None, backend=None, **changes):
    """Train in this process; `prepare` may change or replace the fresh network; `changes` are other parameters."""
    training = changed(read_record(paths.spec("train"), TrainSpec).training, **changes)
    data = StudyData(paths)
    parts = training_scans(data, job)
    targets = Targets.of(data, parts[0])
    sampler, alpha_sampler = (
        PatchSampler(data, scans, targets, job.seed, job.recipe, training.foreground) for scans in parts
    )
    validate = None
    if job.fold is not None:
        validate = Validation(data, data.validation_scans(job.fold), targets, training.precision)
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    network = build_network(job.architecture)
    if prepare:
        network = prepare(network) or network
    backend = backend or SingleBackend()
    step = make_step(paths, job, training, network, targets, sampler, alpha_sampler, backend.device)
    return network, fit(network, job, training, step, sampler, validate, backend, context)


def train_stored(paths, job, **options):
    """Train in the store, in this process; its entry and outcome."""
    entry = Entry(paths.store / store_digest(job, read_record(paths.spec("train"), TrainSpec), data_digest(paths)))
    write_json(entry.job, job)
    return entry, train_entry(paths, entry, RunOptions(**options), SingleBackend())


def propose(paths, job, samples, step=0, **changes):
    """Write the proposal of a step; the arguments of ``voxnas`` that train it."""
    fields = {"search": "random", "step": step, "trial": "t0", "origin": "random", "samples": samples}
    fields |= {"architecture": job.architecture, "recipe": job.recipe}
    file = paths.step("random", step) / "proposal.json"
    write_json(file, Proposal(**{**fields, **changes}))
    return ["step", "--search", "random", "--step", str(step), "--output", str(file.with_name("result.json"))]


def train_command(paths, verb, *arguments):
    """The command line of ``voxnas step`` or ``voxnas train``."""
    return [sys.executable, "-m", "voxnas", verb, "--study", str(paths.root), *arguments]


def start(paths, *arguments):
    """Start ``voxnas step`` or ``voxnas train`` on the CPU."""
    return subprocess.Popen(train_command(paths, *arguments), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def finish(process):
    """Status and messages of a command that was started."""
    text = process.communicate(timeout=PATIENCE)[1]
    return process.returncode, text


def train(paths, *arguments, status=0):
    """Run ``voxnas step`` or ``voxnas train`` to its end with the expected exit status; return its messages."""
    found, log = finish(start(paths, *arguments))
    assert found == status, log
    return log


def skip_without(launcher):
    """Skip the rest where a launcher is not installed."""
    # The library works without Horovod. In continuous integration `make env` fails where it cannot be built.
    if launcher == "horovod" and find_spec("horovod") is None:
        pytest.skip("Horovod is not installed")


@pytest.fixture
def new_study(tmp_path):
    """Function: write a study (arguments: see make_study) and return its paths."""
    return lambda task="segmentation", **options: make_study(tmp_path / f"study-{task}", task, **options)


@pytest.fixture
def new_job():
    """Function: return a training (arguments: see make_job)."""
    return make_job


@pytest.fixture
def study(new_study):
    return new_study()
