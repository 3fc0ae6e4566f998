import dataclasses
import math

import pytest
import torch

from voxnas.core.architecture import Recipe
from voxnas.data.dataset import StudyData
from voxnas.io.records import read_json
from voxnas.nn.build import build_network
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.loop import Surroundings, fit
from voxnas.training.metrics import Validation
from voxnas.training.sampler import PatchSampler
from voxnas.training.targets import Targets


def run_fit(paths, job, around, poison=None):
    training = read_json(paths.spec("train"))["training"]
    data = StudyData(paths)
    scans = data.train_scans(job.fold)
    targets = Targets.of(data, scans)
    sampler = PatchSampler(data, scans, targets, job.seed, job.recipe.augmentation, training["foreground"])
    validate = Validation(data, data.validation_scans(job.fold), targets, training["precision"])
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    network = build_network(job.architecture)
    if poison:
        poison(network)
    return network, fit(network, job, training, sampler, validate, SingleBackend(), around)


def around_of(folder, owner="own", **options):
    folder.mkdir(exist_ok=True)
    return Surroundings(owner=owner, folder=folder, **options)


def equal(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("task", ["segmentation", "classification"])  # the latter has dropout
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_interrupted_and_resumed_is_bit_identical(new_study, new_job, tmp_path, task, optimizer):
    paths = new_study(task, validations=3)
    job = new_job(task, 12)
    job = job.model_copy(update={"recipe": job.recipe.model_copy(update={"optimizer": optimizer})})
    whole, at_once = run_fit(paths, job, around_of(tmp_path / "a"))
    stops = iter([False, False, True])
    _, first = run_fit(paths, job, around_of(tmp_path / "b", should_stop=lambda: next(stops)))
    assert (first.state, first.samples) == ("INTERRUPTED", 6)
    resumed, second = run_fit(paths, job, around_of(tmp_path / "b"))
    assert second.resumed_from == 6
    assert equal(whole, resumed)
    assert dataclasses.replace(second, resumed_from=0) == at_once
    assert [row["samples"] for row in at_once.curve] == [4, 8, 12]


def test_training_learns(new_study, new_job, tmp_path):
    job = new_job(samples=300, recipe=Recipe(learning_rate=1e-2, augmentation=0))
    lines = []
    _, outcome = run_fit(new_study(), job, around_of(tmp_path / "a", log=lines.append))
    assert outcome.state == "DONE" and outcome.samples == 300
    assert outcome.score == outcome.curve[-1]["val_score"] > 0.5
    assert outcome.metrics == {"dice_1": outcome.score}
    assert outcome.curve[1]["train_loss"] < outcome.curve[0]["train_loss"]
    assert "samples 300/300" in lines[-1] and "score 0." in lines[-1]


def test_divergence_is_a_failure_with_a_reason(study, new_job, tmp_path):
    def poison(network):
        next(network.parameters()).data.fill_(math.nan)

    _, outcome = run_fit(study, new_job(), around_of(tmp_path / "a"), poison)
    assert outcome.state == "FAILED" and "diverged: the loss is nan after 2 samples" in outcome.reason


def test_a_plateau_stops(new_study, new_job, tmp_path):
    paths = new_study(validations=8, patience=2)
    job = new_job(samples=16, recipe=Recipe(learning_rate=1e-12))
    _, outcome = run_fit(paths, job, around_of(tmp_path / "a"))
    assert outcome.state == "STOPPED"
    assert outcome.samples == 6 and outcome.score is not None
    assert "2 validations" in outcome.reason


def test_the_last_batch_is_what_is_left(study, new_job, tmp_path):
    _, outcome = run_fit(study, new_job(samples=5), around_of(tmp_path / "a"))
    assert outcome.samples == 5
    assert [row["samples"] for row in outcome.curve] == [4, 5]


def test_thawing_continues_the_parent(study, new_job, tmp_path):
    first, _ = run_fit(study, new_job(samples=6), around_of(tmp_path / "parent", "parent", keep_state=True))
    job = new_job(samples=10, parent="parent")
    lines = []
    thawed, outcome = run_fit(study, job, around_of(tmp_path / "c", parent=tmp_path / "parent", log=lines.append))
    assert outcome.resumed_from == 6 and outcome.samples == 10
    assert [row["samples"] for row in outcome.curve] == [4, 6, 10]
    assert not equal(first, thawed)
    assert "resuming at 6 samples" in lines


def test_a_refused_state_trains_again_and_says_so(study, new_job, tmp_path):
    whole, _ = run_fit(study, new_job(), around_of(tmp_path / "a"))
    stops = iter([True])
    run_fit(study, new_job(), around_of(tmp_path / "b", should_stop=lambda: next(stops)))
    (tmp_path / "b" / "state-2.safetensors").write_bytes(b"broken")
    lines = []
    again, outcome = run_fit(study, new_job(), around_of(tmp_path / "b", log=lines.append))
    assert outcome.resumed_from == 0 and equal(whole, again)
    assert "state refused" in lines[0] and "digest" in lines[0]
