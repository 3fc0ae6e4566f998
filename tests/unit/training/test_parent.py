"""The command `train` as a process: store, kills, deadlines, crashes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from safetensors.torch import load_file, save_file
from tiny_training import ENVIRONMENT, PATIENCE, finish, propose, start, train, train_command

from voxnas.arch.families.linear import Linear
from voxnas.core.architecture import Recipe
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Network, Proposal, Result
from voxnas.io.records import read_record, write_json
from voxnas.io.weights import load_weights
from voxnas.training import parent
from voxnas.training.failures import NoResult
from voxnas.training.jobs import network_job, proposal_job
from voxnas.training.run_options import RunOptions
from voxnas.training.store import Entry


def result_of(paths):
    return read_record(paths.step("random", 0) / "result.json", Result)


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def running(paths):
    """Folder of the one training in the store once it has taken steps."""
    beats = list(paths.store.glob("*/state.json"))
    return beats[0].parent if beats else None


def test_trains_once_then_comes_from_the_store_without_torch(study, new_job, tmp_path):
    arguments = propose(study, new_job(), 8)
    log = train(study, *arguments)
    first = result_of(study)
    folder = study.step("random", 0)
    run = json.loads((folder / "run.json").read_text())
    assert (first.state, first.samples, first.parameters > 0, first.macs > 0) == ("DONE", 8, True, True)
    assert not run["reused"] and run["peak_rss_mib"] > 50 and run["cpu_seconds"] > 0
    assert "samples 8/8" in log
    before = [(folder / name).read_bytes() for name in ("result.json", "curve.tsv")]
    for name in ("result.json", "curve.tsv", "run.json"):
        (folder / name).unlink()
    # The second run could not import torch if it tried.
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch was imported')")
    (tmp_path / "pandas.py").write_text("raise RuntimeError('pandas was imported')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(train_command(study, *arguments), env={**ENVIRONMENT, "PYTHONPATH": path}, check=True)
    assert before == [(folder / name).read_bytes() for name in ("result.json", "curve.tsv")]
    assert json.loads((folder / "run.json").read_text())["reused"]
    assert not list(study.store.glob("*/state*"))


def test_deadline_saves_and_the_next_run_ends_as_if_undisturbed(new_study, new_job, tmp_path):
    whole = new_study("segmentation")
    train(whole, *propose(whole, new_job(), 60))
    # The same study elsewhere: the digest of a training does not depend on the folder.
    parted = StudyPaths(tmp_path / "copy")
    subprocess.run(["cp", "-r", str(whole.root), str(parted.root)], check=True)
    subprocess.run(["rm", "-r", str(parted.store), str(parted.step("random", 0) / "result.json")], check=True)
    arguments = propose(parted, new_job(), 60)
    assert "state saved at 2 samples" in train(parted, *arguments, "--deadline", "0", status=75)
    assert not (parted.step("random", 0) / "result.json").exists()
    assert "resuming at 2 samples" in train(parted, *arguments)
    for name in ("result.json", "curve.tsv"):
        assert (whole.step("random", 0) / name).read_bytes() == (parted.step("random", 0) / name).read_bytes()
    entry = result_of(whole).store
    first, second = (paths.store / entry / "weights.safetensors" for paths in (whole, parted))
    assert first.read_bytes() == second.read_bytes()
    assert json.loads((parted.store / entry / "run.json").read_text())["launches"] == 2


def start_endless(study, job):
    """Start a training that does not end by itself and saves its state after each step."""
    return start(study, *propose(study, job, 1_000_000), "--checkpoint-seconds", "0.01")


def test_a_signal_saves_the_state(study, new_job):
    process = start_endless(study, new_job())
    wait_for(lambda: running(study))
    process.send_signal(signal.SIGUSR1)
    status, log = finish(process)
    assert status == 75 and "interrupted, state saved" in log
    assert not (running(study) / "lease.json").exists()


def test_a_parent_that_died_after_the_training_is_completed_by_the_next(study, new_job):
    arguments = propose(study, new_job(), 8)
    train(study, *arguments)
    entry = study.store / result_of(study).store
    process = {"pid": os.getpid(), "started": -1.0}
    record = {"host": socket.gethostname(), "boot": "b", "slurm_job": "", "slurm_restarts": 0, "processes": [process]}
    write_json(entry / "lease.json", record)
    (entry / "run.json").unlink()
    train(study, *arguments)
    assert not (entry / "lease.json").exists()
    assert json.loads((entry / "run.json").read_text())["device"]


def test_a_killed_parent_leaves_no_orphan_and_its_lease_is_taken_over(study, new_job):
    process = start_endless(study, new_job())
    wait_for(lambda: running(study))
    lease = json.loads((running(study) / "lease.json").read_text())
    child = lease["processes"][1]["pid"]
    process.kill()
    process.wait()

    def gone():
        try:
            return psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_for(gone)
    arguments = propose(study, new_job(), 1_000_000)
    assert "resuming at" in train(study, *arguments, "--deadline", "0", status=75)


def worker_of(paths, other_than=()):
    """Id of the process that trains."""

    def found():
        folder = running(paths)
        lease = folder / "lease.json" if folder else None
        processes = json.loads(lease.read_text())["processes"] if lease and lease.exists() else []
        return next((p["pid"] for p in processes[1:] if p["pid"] not in other_than), None)

    wait_for(found)
    return found()


def samples_of(paths):
    """Samples seen at the last saved state."""
    return json.loads((running(paths) / "state.json").read_text())["progress"]["samples"]


def test_a_killed_worker_goes_on(study, new_job):
    process = start_endless(study, new_job())
    worker = worker_of(study)
    os.kill(worker, signal.SIGKILL)
    seen = samples_of(study)
    worker_of(study, other_than=[worker])
    wait_for(lambda: samples_of(study) > seen)  # a process that still starts would not end within the grace period
    process.send_signal(signal.SIGUSR1)
    status, log = finish(process)
    assert status == 75 and "killed (1 of 3 times)" in log
    assert not (study.step("random", 0) / "result.json").exists()


def kill_each_worker(study, job):
    """Kill all three workers of a training; return the exit status."""
    process, killed = start_endless(study, job), []
    for _ in range(3):
        killed.append(worker_of(study, other_than=killed))
        os.kill(killed[-1], signal.SIGKILL)
    return finish(process)[0]


def test_a_worker_that_is_killed_repeatedly_is_a_failed_trial(study, new_job):
    assert kill_each_worker(study, new_job()) == 0
    result = result_of(study)
    assert (result.state, result.score) == ("FAILED", None)
    assert result.reason == "killed, probably out of memory" and result.key
    assert (study.step("random", 0) / "curve.tsv").exists()


def test_in_slurm_other_jobs_with_more_memory_come_first(study, new_job, monkeypatch):
    for job, starved in (("7", []), ("9", ["7", "8"])):
        monkeypatch.setitem(ENVIRONMENT, "SLURM_JOB_ID", job)
        for file in study.store.glob("*/starved.json"):
            write_json(file, starved)
        assert kill_each_worker(study, new_job()) == (0 if starved else 1)
        assert (study.step("random", 0) / "result.json").exists() == bool(starved)
        assert [json.loads(file.read_text()) for file in study.store.glob("*/starved.json")] == [[*starved, job]]
    assert result_of(study).state == "FAILED"
    monkeypatch.setitem(ENVIRONMENT, "SLURM_JOB_ID", "10")
    train(study, *propose(study, new_job(), 1_000_000))
    assert result_of(study).reason == "out of memory in each of 3 jobs"


def test_a_crash_is_an_error_with_its_traceback(study, new_job):
    arrays = load_file(study.shard(0))
    save_file({name: t.repeat(2, 1, 1, 1) if t.ndim == 4 else t for name, t in arrays.items()}, study.shard(0))
    log = train(study, *propose(study, new_job(), 8), status=1)
    assert "Traceback" in log and "ended with status 1" in log
    assert not (study.step("random", 0) / "result.json").exists()


def test_an_idle_proposal_is_skipped(study, new_job):
    train(study, *propose(study, new_job(), 0, origin="idle", architecture=None, recipe=None))
    assert result_of(study).state == "SKIPPED"
    assert {p.name for p in study.step("random", 0).iterdir()} >= {"run.json", "curve.tsv"}


@pytest.mark.parametrize("kind", ["cnn", "linear"])
def test_a_network_gets_weights(new_study, new_job, tmp_path, kind):
    paths = new_study("regression")
    job = new_job("regression")
    architecture = Linear(in_channels=1, out_channels=1, voxel_mm=4) if kind == "linear" else job.architecture
    network = Network(
        key="0" * 12, name="n", source="linear", architecture=architecture, recipe=Recipe(loss="mse"), samples=4
    )
    write_json(tmp_path / "network.json", network)
    output = tmp_path / "seed-1" / "result.json"
    arguments = ["train", "--network", str(tmp_path / "network.json"), "--seed", "1", "--output", str(output)]
    train(paths, *arguments)
    assert read_record(output, Result).metrics["mae"] > 0
    tensors, metadata = load_weights(output.with_name("weights.safetensors"))
    assert tensors and 50 < float(metadata["target_mean"]) < 62
    assert sum(t.numel() for n, t in tensors.items() if n != "grid") == read_record(output, Result).parameters


def test_seeds_and_folds_of_jobs(study, new_job):
    job = new_job()
    network = Network(key="0" * 12, name="n", source="s", architecture=job.architecture, recipe=job.recipe, samples=4)
    jobs = [network_job(study, network, seed) for seed in range(3)]
    assert [j.fold for j in jobs] == [0, 1, 0]
    assert len({j.seed for j in jobs}) == 3
    fields = {"search": "a", "trial": "t", "origin": "random", "architecture": job.architecture, "recipe": job.recipe}
    first = proposal_job(study, Proposal(**fields, step=0, samples=8))
    assert first == proposal_job(study, Proposal(**{**fields, "search": "b"}, step=9, samples=8))
    # All trials have one seed, so that two trials differ by their recipes alone.
    other = job.recipe.model_copy(update={"learning_rate": 0.5})
    assert proposal_job(study, Proposal(**{**fields, "recipe": other}, step=1, samples=8)).seed == first.seed
    assert first.seed not in {j.seed for j in jobs}
    assert first.parent is None
    chain = [Proposal(**fields, step=0, samples=8), Proposal(**fields, step=1, samples=16, resume_from=0)]
    for proposal in chain:
        write_json(study.step("a", proposal.step) / "proposal.json", proposal)
    third = proposal_job(study, Proposal(**fields, step=3, samples=32, resume_from=1))
    assert third.restarts == (8, 16)
    assert third.parent == proposal_job(study, chain[1])
    assert third.parent.parent == first


PROMOTED = {"origin": "promotion", "resume_from": 0, "rung": 1}


def test_a_promoted_step_continues_the_state_that_only_a_resumable_step_keeps(study, new_job, tmp_path):
    train(study, *propose(study, new_job(), 8, resumable=True))
    states = list(study.store.glob("*/state.json"))
    assert [s.parent.name for s in states] == [result_of(study).store]
    lost = StudyPaths(tmp_path / "copy")
    subprocess.run(["cp", "-r", str(study.root), str(lost.root)], check=True)
    subprocess.run(["rm", "-r", str(lost.store)], check=True)

    # The step is interrupted and continued from its own state.
    arguments = propose(study, new_job(), 40, step=1, **PROMOTED)
    log = train(study, *arguments, "--deadline", "0", status=75)
    assert "resuming at 8 samples" in log and "state saved at 10 samples" in log
    assert "resuming at 10 samples" in train(study, *arguments)
    result = read_record(study.step("random", 1) / "result.json", Result)
    assert (result.state, result.samples) == ("DONE", 40)
    curve = (study.step("random", 1) / "curve.tsv").read_text()
    assert [line.split("\t")[0] for line in curve.splitlines()] == ["samples", "4", "8", "20", "40"]
    assert curve.startswith((study.step("random", 0) / "curve.tsv").read_text())
    assert not list(study.store.glob("*/state*"))  # only this training could continue the earlier state

    # Without the store the step trains from the start to the same result.
    assert "training it again from the start" in train(lost, *propose(lost, new_job(), 40, step=1, **PROMOTED))
    for name in ("result.json", "curve.tsv"):
        assert (lost.step("random", 1) / name).read_bytes() == (study.step("random", 1) / name).read_bytes()


def test_the_processor_time_of_each_launch_counts_once(monkeypatch, tmp_path):
    entry = Entry(tmp_path / "entry")
    entry.folder.mkdir()
    write_json(entry.ended, {"how": "interrupted", "facts": {}})
    burn = f"sum(range(3 * 10**6)); import shutil; shutil.copy({str(entry.ended) + '.kept'!r}, {str(entry.ended)!r})"
    entry.ended.rename(str(entry.ended) + ".kept")
    monkeypatch.setattr(parent, "launch_command", lambda *_: [sys.executable, "-c", burn])
    monkeypatch.setattr(type(entry.lease), "extend", lambda *_: None)
    before = parent._children_seconds()
    for _ in range(3):
        with pytest.raises(NoResult):
            parent._run_workers(StudyPaths(tmp_path), entry, RunOptions(), [], 1)
    run = json.loads(entry.run.read_text())
    assert run["launches"] == 3 and run["cpu_seconds"] == pytest.approx(parent._children_seconds() - before, abs=0.01)
