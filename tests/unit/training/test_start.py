"""Trainings that build on finished ones: fine-tuning, through masks and maps of channels, and teachers."""

import pytest
import torch
from tiny_training import train_stored

from voxnas.arch.families import expand
from voxnas.core.architecture import Recipe, network_key
from voxnas.core.errors import UserError
from voxnas.core.training import Channels, Derivation, FineTune, Teacher, Weights
from voxnas.core.trial import Network
from voxnas.io.records import write_json
from voxnas.io.weights import load_weights
from voxnas.nn.build import build_network
from voxnas.training.inference import load_trained
from voxnas.training.jobs import network_job
from voxnas.training.mask import write_mask
from voxnas.training.start import choose_channels, narrow

STILL = Recipe(loss="ce", learning_rate=1e-12, weight_decay=0, spatial=0, intensity=0)  # weights stay where they start


def write_network(paths, job, derivation=None):
    key = network_key(job.architecture, job.recipe, derivation)
    fields = {"architecture": job.architecture, "recipe": job.recipe, "derivation": derivation}
    network = Network(key=key, name="n", source="s", samples=8, **fields)
    write_json(paths.network(key) / "network.json", network)
    return network


def test_a_derived_network_is_fine_tuned_from_the_same_seed_of_its_origin(study, new_job):
    base = write_network(study, new_job())
    origin, _ = train_stored(study, network_job(study, base, 1))
    weights, _ = load_weights(origin.weights)
    masks = {n: (t.abs() > t.abs().median()).to(torch.uint8) for n, t in weights.items() if t.ndim > 2}
    derivation = Derivation(start=Weights(source=base.key), mask=write_mask(study, masks))
    derived = write_network(study, new_job(), derivation)
    assert derived.key != base.key
    job = network_job(study, derived, 1)
    assert (job.kind, job.start.source, job.fold) == ("fine_tune", origin.name, 1)

    entry, outcome = train_stored(study, job)
    found, _ = load_weights(entry.weights)
    assert outcome.state == "DONE"
    assert all((found[name][mask == 0] == 0).all() for name, mask in masks.items())
    # Eight samples move the other weights a little from those that they started from.
    moved = [float((found[name] - weights[name] * mask).abs().max()) for name, mask in masks.items()]
    assert 0 < max(moved) < 0.02
    # Interrupted after a step and resumed: the same.
    for file in (entry.outcome, entry.weights):
        file.unlink()
    assert train_stored(study, job, deadline=0.0)[1].state == "INTERRUPTED"
    assert train_stored(study, job)[1].resumed_from == 2
    again, _ = load_weights(entry.weights)
    assert all(torch.equal(found[name], again[name]) for name in found)


def test_a_narrowed_network_starts_from_the_channels_that_it_keeps(new_study, new_job):
    paths, wide = new_study("classification"), new_job("classification")
    narrower = wide.architecture.model_copy(update={"widths": (2, 8, 8)})
    shapes = {name: p.shape for name, p in build_network(narrower).named_parameters()}
    kept, channels, masks = (1, 3), {}, {}
    for name, parameter in build_network(wide.architecture).named_parameters():
        differs = [a != b for a, b in zip(parameter.shape, shapes[name], strict=True)]
        inputs = kept if len(differs) > 1 and differs[1] else None
        channels[name.rpartition(".")[0]] = Channels(outputs=kept if differs[0] else None, inputs=inputs)
        if inputs and not differs[0]:  # so that the channels that are left out count for nothing
            masks[name] = torch.zeros(parameter.shape, dtype=torch.uint8).index_fill_(1, torch.tensor(kept), 1)
    assert masks
    origin, _ = train_stored(paths, wide.model_copy(update={"mask": write_mask(paths, masks)}))
    fields = {"fold": wide.fold, "seed": wide.seed, "samples": 4, "architecture": narrower, "recipe": STILL}
    entry, _ = train_stored(paths, FineTune(**fields, start=Weights(source=origin.name, channels=channels)))
    images = torch.randn(3, 1, 8, 8, 8)
    with torch.no_grad():
        found = load_trained(narrower, entry.weights).cpu()(images)
        torch.testing.assert_close(found, load_trained(wide.architecture, origin.weights).cpu()(images))
    channels[next(iter(channels))] = Channels(outputs=(1, 9))
    with pytest.raises(UserError, match=r"does not fit the network"):
        train_stored(paths, FineTune(**fields, start=Weights(source=origin.name, channels=channels)))


def test_the_channels_of_transposed_depthwise_and_scalar_tensors():
    channels = Channels(outputs=(2,), inputs=(0, 1))
    weight = torch.arange(36.0).view(4, 3, 3)
    assert torch.equal(narrow(weight, channels), weight[[2]][:, [0, 1]])
    assert torch.equal(narrow(weight, channels, transposed=True), weight[[0, 1]][:, [2]])
    assert narrow(weight[:, :1], channels).shape == (1, 1, 3)
    assert narrow(torch.tensor(5), channels) == 5
    assert torch.equal(narrow(weight[:, 0, 0], channels, transposed=True), weight[[2], 0, 0])


@pytest.mark.parametrize("task", ["segmentation", "regression"])
def test_a_student_learns_from_its_teacher(new_study, new_job, task):
    paths, job = new_study(task), new_job(task, 40)
    teacher, _ = train_stored(paths, job)
    recipe = job.recipe.model_copy(update={"learning_rate": 1e-2, "spatial": 0, "intensity": 0})
    taught = Teacher(sources=(teacher.name,), weight=1.0)
    _, outcome = train_stored(paths, job.model_copy(update={"recipe": recipe, "teacher": taught}))
    first, last = (row["train_loss"] for row in outcome.curve)
    assert outcome.state == "DONE" and 0 < last < first


def test_nothing_is_built_on_unfinished_trainings_or_on_other_folds(study, new_job):
    other, _ = train_stored(study, new_job(fold=1))
    with pytest.raises(UserError, match=r"has learnt from scans of fold 0"):
        train_stored(study, new_job(kind=FineTune, start=Weights(source=other.name)))
    with pytest.raises(UserError, match=r"has learnt from scans of fold 0"):
        train_stored(study, new_job(teacher=Teacher(sources=(other.name,))))
    with pytest.raises(UserError, match="is not a finished training"):
        train_stored(study, new_job(kind=FineTune, start=Weights(source="f" * 16)))


def test_a_refitted_network_learns_all_folds_from_teachers_that_left_the_scan_out(study, new_job):
    base = write_network(study, new_job())
    origins = [train_stored(study, network_job(study, base, seed))[0].name for seed in (0, 1)]
    teacher = Teacher(sources=(base.key,), out_of_fold=True)
    job = network_job(study, write_network(study, new_job(), Derivation(teacher=teacher, refit=True)), 1)
    assert (job.fold, list(job.teacher.sources)) == (None, origins)
    entry, outcome = train_stored(study, job)
    assert (outcome.state, outcome.score, outcome.samples) == ("DONE", None, 8)
    assert [set(row) for row in outcome.curve] == [{"samples", "train_loss", "learning_rate"}] * 2
    assert entry.finished()["score"] is None and entry.weights.exists()
    with pytest.raises(ValueError, match="have learnt from fold 0"):
        new_job(teacher=job.teacher)
    with pytest.raises(UserError, match="no source of the teacher has left out fold 1"):
        train_stored(study, new_job(fold=None, teacher=Teacher(sources=origins[:1], out_of_fold=True)))
    with pytest.raises(UserError, match="has learnt from scans of fold 1"):  # the refit has learnt every fold
        train_stored(study, new_job(fold=1, teacher=Teacher(sources=(entry.name,))))


def test_a_pruned_training_starts_from_the_channels_with_the_largest_weights_of_its_own_seed(new_study, new_job):
    paths, wide = new_study("classification"), new_job("classification")
    narrower = wide.architecture.model_copy(update={"widths": (2, 4, 4)})
    origin, _ = train_stored(paths, wide)
    fields = {"fold": wide.fold, "samples": 4, "architecture": narrower, "recipe": STILL}
    tensors, _ = load_weights(origin.weights)
    graphs = expand(wide.architecture), expand(narrower)
    for criterion, seed in (("magnitude", 1), ("random", 2)):
        start = Weights(source=origin.name, criterion=criterion)
        entry, _ = train_stored(paths, FineTune(**fields, seed=seed, start=start))
        found, _ = load_weights(entry.weights)
        for name, channels in choose_channels(*graphs, tensors, criterion, seed).items():
            torch.testing.assert_close(found[f"{name}.weight"], narrow(tensors[f"{name}.weight"], channels))
    with pytest.raises(ValueError, match="exclude each other"):
        Weights(source=origin.name, criterion="random", channels={"head": Channels(outputs=(0,))})
