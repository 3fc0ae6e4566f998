import dataclasses
import math

import pytest
import torch
from tiny_training import make_context, run_fit

from voxnas.core.architecture import Recipe
from voxnas.io.records import read_json
from voxnas.io.weights import load_weights
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.schedules import learning_rate_factor
from voxnas.training.steps.supervised import Supervised


def equal(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def interrupted(paths, job, folder, steps, **changes):
    """Train and request an end after a number of steps."""
    stops = iter([False] * (steps - 1) + [True])
    return run_fit(paths, job, make_context(folder, should_stop=lambda: next(stops)), **changes)[1]


@pytest.mark.parametrize("task", ["segmentation", "classification"])  # the latter has dropout
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_interrupted_and_resumed_is_bit_identical(new_study, new_job, tmp_path, task, optimizer):
    paths = new_study(task, validations=3)
    job = new_job(task, 12)
    job = job.model_copy(update={"recipe": job.recipe.model_copy(update={"optimizer": optimizer})})
    whole, at_once = run_fit(paths, job, make_context(tmp_path / "a"))
    first = interrupted(paths, job, tmp_path / "b", 3)
    assert (first.state, first.samples) == ("INTERRUPTED", 6)
    resumed, second = run_fit(paths, job, make_context(tmp_path / "b"))
    assert second.resumed_from == 6
    assert equal(whole, resumed)
    assert dataclasses.replace(second, resumed_from=0) == at_once
    assert [row["samples"] for row in at_once.curve] == [4, 8, 12]


def test_training_learns(new_study, new_job, tmp_path):
    job = new_job(samples=300, recipe=Recipe(learning_rate=1e-2, spatial=0, intensity=0))
    lines = []
    _, outcome = run_fit(new_study(), job, make_context(tmp_path / "a", log=lines.append))
    assert outcome.state == "DONE" and outcome.samples == 300
    assert outcome.score == outcome.curve[-1]["val_score"] > 0.5
    assert outcome.metrics == {"dice_1": outcome.score}
    assert outcome.curve[1]["train_loss"] < outcome.curve[0]["train_loss"]
    assert "samples 300/300" in lines[-1] and "score 0." in lines[-1]


def test_a_process_weights_its_loss_by_its_share_of_the_batch(new_study, new_job, tmp_path, monkeypatch):
    backend = SingleBackend()
    backend.size, backend.speeds = 2, (3.0, 1.0)
    monkeypatch.setattr(Supervised, "loss", lambda self, inputs, outputs, targets: 0 * outputs[0].sum() + 1)
    paths = new_study(batch_size=4, validations=1)
    _, outcome = run_fit(paths, new_job(samples=4), make_context(tmp_path / "a"), backend=backend)
    assert outcome.curve[0]["train_loss"] == 0.75  # three of the four samples; nobody adds the loss of the fourth


def test_divergence_is_a_failure_with_a_reason(study, new_job, tmp_path):
    def poison(network):
        next(network.parameters()).data.fill_(math.nan)

    _, outcome = run_fit(study, new_job(), make_context(tmp_path / "a"), poison)
    assert outcome.state == "FAILED" and "diverged: the loss is nan after 2 samples" in outcome.reason


def test_a_plateau_stops(new_study, new_job, tmp_path):
    paths = new_study(validations=8, patience=2)
    job = new_job(samples=16, recipe=Recipe(learning_rate=1e-12))
    _, outcome = run_fit(paths, job, make_context(tmp_path / "a"))
    assert outcome.state == "STOPPED"
    assert outcome.samples == 6 and outcome.score is not None
    assert "2 validations" in outcome.reason


def test_the_last_batch_is_what_is_left(study, new_job, tmp_path):
    _, outcome = run_fit(study, new_job(samples=5), make_context(tmp_path / "a"))
    assert outcome.samples == 5
    assert [row["samples"] for row in outcome.curve] == [4, 5]


def promoted_twice(new_job):
    """The jobs of a trial's three steps; the first two do not end on a whole batch."""
    return [new_job(samples=samples, restarts=before) for samples, before in ((5, ()), (11, (5,)), (20, (5, 11)))]


def test_a_promoted_training_goes_on_where_the_earlier_step_ended(study, new_job, tmp_path):
    outcomes, networks, lines = [], [], []
    for job in promoted_twice(new_job):
        folder, before = tmp_path / str(job.samples), tmp_path / str(job.parent.samples if job.parent else 0)
        context = make_context(folder, parent=before, keep_state=True, log=lines.append)
        network, outcome = run_fit(study, job, context)
        networks.append(network)
        outcomes.append(outcome)
    assert [o.resumed_from for o in outcomes] == [0, 5, 11]
    assert [o.samples for o in outcomes] == [5, 11, 20]
    # Two validations on each way to a goal; the middle of the longer way may lie behind already.
    assert [row["samples"] for row in outcomes[2].curve] == [4, 5, 7, 11, 20]
    assert outcomes[2].curve[:4] == outcomes[1].curve and outcomes[1].curve[:2] == outcomes[0].curve
    assert not equal(networks[0], networks[1])
    assert "resuming at 5 samples" in lines and "resuming at 11 samples" in lines


def test_without_the_earlier_state_a_promoted_training_ends_at_the_same_bits(study, new_job, tmp_path):
    first, second, third = promoted_twice(new_job)
    run_fit(study, first, make_context(tmp_path / "a", keep_state=True))
    run_fit(study, second, make_context(tmp_path / "b", keep_state=True, parent=tmp_path / "a"))
    continued, whole = run_fit(study, third, make_context(tmp_path / "c", parent=tmp_path / "b"))
    lines = []
    alone, outcome = run_fit(study, third, make_context(tmp_path / "d", parent=tmp_path / "none", log=lines.append))
    assert equal(continued, alone)
    assert dataclasses.replace(outcome, resumed_from=11) == whole
    assert lines[0] == "the store has no state of the earlier step; training it again from the start"
    # Half an earlier step, as a process that was killed leaves it, is as good a place to go on from.
    interrupted(study, second, tmp_path / "e", 2)
    half, outcome = run_fit(study, third, make_context(tmp_path / "f", parent=tmp_path / "e"))
    assert outcome.resumed_from == 4 and equal(continued, half)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_promoted_training_may_be_interrupted_in_any_rung(study, new_job, tmp_path, steps):
    job = promoted_twice(new_job)[2]
    whole, at_once = run_fit(study, job, make_context(tmp_path / "a"))
    assert interrupted(study, job, tmp_path / "b", steps).state == "INTERRUPTED"
    resumed, outcome = run_fit(study, job, make_context(tmp_path / "b"))
    assert 0 < outcome.resumed_from < 20 and equal(whole, resumed)
    assert outcome.curve == at_once.curve


def test_the_schedule_starts_anew_after_each_restart(study, new_job, tmp_path):
    recipe = Recipe(learning_rate=1.0, schedule="cosine", spatial=0, intensity=0)
    job = new_job(samples=12, restarts=(4,), recipe=recipe)
    rates = [row["learning_rate"] for row in run_fit(study, job, make_context(tmp_path / "a"))[1].curve]
    wanted = [learning_rate_factor("cosine", seen / goal, 0) for seen, goal in ((0, 4), (2, 4), (4, 12), (10, 12))]
    assert rates == pytest.approx(wanted)
    assert rates[2] > rates[1]


def test_an_anytime_training_does_not_depend_on_the_steps_that_reached_its_samples(study, new_job, tmp_path):
    recipe = Recipe(schedule="constant", averaging=0.5)
    jobs = [new_job(samples=8, recipe=recipe), new_job(samples=20, restarts=(8,), recipe=recipe)]
    first, _ = run_fit(study, jobs[0], make_context(tmp_path / "a", keep_state=True))
    continued, outcome = run_fit(study, jobs[1], make_context(tmp_path / "b", parent=tmp_path / "a"))
    longer, whole = run_fit(study, new_job(samples=20, recipe=recipe), make_context(tmp_path / "c"))
    assert outcome.resumed_from == 8 and not equal(first, continued)
    assert equal(continued, longer) and outcome.score == whole.score


def test_averaged_weights_are_validated_and_returned_and_survive_an_interruption(study, new_job, tmp_path):
    job = new_job(samples=12, recipe=Recipe(learning_rate=0.05, averaging=1.0))
    network, outcome = run_fit(study, job, make_context(tmp_path / "a", keep_state=True))
    stops = iter([False, False, True])
    run_fit(study, job, make_context(tmp_path / "b", should_stop=lambda: next(stops)))
    resumed, _ = run_fit(study, job, make_context(tmp_path / "b"))
    assert equal(network, resumed)
    # The state continues from the last weights, which are not the averaged ones.
    file = tmp_path / "a" / read_json(tmp_path / "a" / "state.json")["file"]
    last = load_weights(file)[0]
    found = network.state_dict()
    assert all(torch.equal(found[name], last[f"average/module.{name}"]) for name in found)
    assert not all(torch.equal(found[name], last[f"network/{name}"]) for name in found)
    assert outcome.score == outcome.curve[-1]["val_score"]
    again, score = run_fit(study, job, make_context(tmp_path / "a", keep_state=True))
    assert equal(again, network) and score.score == outcome.score


def test_patience_starts_anew_after_a_plateau(new_study, new_job, tmp_path):
    paths = new_study(validations=8, patience=2)
    recipe = Recipe(learning_rate=1e-12)
    first = new_job(samples=16, recipe=recipe)
    _, short = run_fit(paths, first, make_context(tmp_path / "a", keep_state=True))
    assert (short.state, short.samples) == ("STOPPED", 6)
    job = new_job(samples=48, restarts=(16,), recipe=recipe)
    continued, outcome = run_fit(paths, job, make_context(tmp_path / "b", parent=tmp_path / "a"))
    assert outcome.state == "STOPPED" and outcome.resumed_from == 6 and 6 < outcome.samples < 48
    alone, again = run_fit(paths, job, make_context(tmp_path / "c"))
    assert equal(continued, alone) and dataclasses.replace(again, resumed_from=6) == outcome


def test_a_refused_state_trains_again_and_says_so(study, new_job, tmp_path):
    whole, _ = run_fit(study, new_job(), make_context(tmp_path / "a"))
    interrupted(study, new_job(), tmp_path / "b", 1)
    (tmp_path / "b" / "state-2.safetensors").write_bytes(b"broken")
    lines = []
    again, outcome = run_fit(study, new_job(), make_context(tmp_path / "b", log=lines.append))
    assert outcome.resumed_from == 0 and equal(whole, again)
    assert "state refused" in lines[0] and "digest" in lines[0]


def test_half_precision_saves_and_restores_its_loss_scale(new_study, new_job, tmp_path):
    paths, job = new_study(validations=3), new_job(samples=12)
    whole, at_once = run_fit(paths, job, make_context(tmp_path / "a", keep_state=True), precision="fp16")
    interrupted(paths, job, tmp_path / "b", 3, precision="fp16")
    scaler = read_json(tmp_path / "b" / "state.json")["progress"]["scaler"]
    assert scaler["_growth_tracker"] + (scaler["scale"] < 2**16) > 0
    resumed, second = run_fit(paths, job, make_context(tmp_path / "b", keep_state=True), precision="fp16")
    assert equal(whole, resumed)
    assert dataclasses.replace(second, resumed_from=0) == at_once
    ends = [read_json(tmp_path / name / "state.json")["progress"]["scaler"] for name in "ab"]
    assert ends[0] == ends[1]
    assert ends[0]["_growth_tracker"] == scaler["_growth_tracker"] + 3 or ends[0]["scale"] < scaler["scale"]
    _, exact = run_fit(paths, job, make_context(tmp_path / "c", keep_state=True), precision="float32")
    assert read_json(tmp_path / "c" / "state.json")["progress"]["scaler"] == {}
    assert at_once.curve[-1]["train_loss"] == pytest.approx(exact.curve[-1]["train_loss"], rel=0.02)


def test_recomputed_operators_train_to_the_same_bits(new_study, new_job, tmp_path):
    paths, job, recomputed = new_study(), new_job(samples=6), []
    whole, at_once = run_fit(paths, job, make_context(tmp_path / "a"))
    note = lambda network: network.register_forward_hook(lambda module, *_: recomputed.append(module.recompute))  # noqa: E731
    context = make_context(tmp_path / "b", recompute=1)
    again, outcome = run_fit(paths, job, context, lambda network: note(network) and None)
    assert outcome == at_once and all(recomputed)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


@pytest.mark.parametrize("micro_batch", [1, 2])
def test_parts_of_a_batch_train_as_the_whole(new_study, new_job, tmp_path, micro_batch):
    paths, job = new_study(batch_size=5), new_job(samples=15)
    whole, at_once = run_fit(paths, job, make_context(tmp_path / "a"))
    parted, in_parts = run_fit(paths, job, make_context(tmp_path / "b", micro_batch=micro_batch))
    pairs = zip(whole.state_dict().values(), parted.state_dict().values(), strict=True)
    assert max(float((a - b).abs().max()) for a, b in pairs) < 1e-4
    assert in_parts.curve[-1]["train_loss"] == pytest.approx(at_once.curve[-1]["train_loss"], rel=1e-5)
