"""Progress of a running training, and its curves for TensorBoard."""

import json
import signal
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tiny_training import PATIENCE, finish, propose, start, train

from voxnas.core.trial import Network
from voxnas.io.records import write_json

CONFIG = {"width": 4, "norm": "instance"}


def run_of(paths, *names):
    accumulator = EventAccumulator(str(paths.root.joinpath("tensorboard", *names)))
    accumulator.Reload()
    return accumulator


def steps(run, tag):
    return [event.step for event in run.Scalars(tag)]


def test_progress_is_written_during_the_training_and_removed_at_its_end(study, new_job):
    process = start(study, *propose(study, new_job(), 100_000, config=CONFIG))
    try:
        end = time.monotonic() + PATIENCE
        while not (told := list(study.store.glob("*/progress.json"))):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        record = json.loads(told[0].read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        status, _ = finish(process)
    assert status == 75
    assert 0 < record["samples"] < 100_000 and record["loss"] > 0
    train(study, *propose(study, new_job(), 8, config=CONFIG))
    finished = [p.parent for p in study.store.glob("*/outcome.json")]
    assert len(finished) == 1 and not (finished[0] / "progress.json").exists()


def test_an_interrupted_training_has_one_curve(study, new_job):
    arguments = [*propose(study, new_job(), 40, config=CONFIG), "--tensorboard", "1"]
    assert "state saved at 2 samples" in train(study, *arguments, "--deadline", "0", status=75)
    assert "resuming at 2 samples" in train(study, *arguments)
    run = run_of(study, "random", "0")
    assert steps(run, "training/loss") == list(range(2, 41, 2))
    assert steps(run, "validation/score") == [20, 40]
    lines = (study.step("random", 0) / "curve.tsv").read_text().splitlines()
    score = float(lines[-1].split("\t")[lines[0].split("\t").index("val_score")])
    assert abs(run.Scalars("validation/score")[-1].value - score) < 1e-6
    assert abs(run.Scalars("final/score")[-1].value - score) < 1e-6
    content = run.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    begun = metadata.parse_session_start_info_plugin_data(content).hparams
    assert begun["search"].string_value == "random"
    assert (begun["width"].number_value, begun["samples"].number_value) == (4.0, 40.0)


def test_only_with_the_setting_a_stored_training_gets_its_curve_and_once(study, new_job):
    arguments = propose(study, new_job(), 8, config=CONFIG)
    train(study, *arguments)
    assert not (study.root / "tensorboard").exists()
    for _ in range(2):
        train(study, *arguments, "--tensorboard", "1")
        assert steps(run_of(study, "random", "0"), "validation/score") == [4, 8]
    assert len(list((study.root / "tensorboard").rglob("*tfevents*"))) == 1


def test_a_finalist_has_its_name_in_tensorboard_and_results_do_not_depend_on_it(study, new_job, tmp_path):
    job = new_job()
    network = Network(key="0" * 12, name="n", source="", architecture=job.architecture, recipe=job.recipe, samples=8)
    write_json(tmp_path / "network.json", network)
    named = network.model_copy(update={"name": "bayesian-1", "source": "bayesian"})
    write_json(study.finalists, {"networks": [named.plain()]})
    for seed, extra in ((0, []), (1, ["--tensorboard", "1"])):
        output = tmp_path / f"seed-{seed}" / "result.json"
        arguments = ["train", "--network", str(tmp_path / "network.json"), "--seed", str(seed), "--output", str(output)]
        train(study, *arguments, *extra)
        before = output.read_bytes()
        finish(start(study, *arguments, "--tensorboard", "1"))  # from the store: the setting is no part of its digest
        assert output.read_bytes() == before
    assert len(list(study.store.iterdir())) == 2
    assert sorted(p.name for p in (study.root / "tensorboard" / "bayesian-1").iterdir()) == ["seed-0", "seed-1"]
    assert steps(run_of(study, "bayesian-1", "seed-1"), "validation/score") == [4, 8]
