"""`voxnas watch` on a study that the workflow has run, and on what is left of it at earlier moments."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from voxnas.cli.main import main
from voxnas.core.canonical import canonical_json
from voxnas.core.settings import StudySettings
from voxnas.core.trial import Network, Proposal, Result
from voxnas.io.records import read_json, read_record, write_json
from voxnas.operate.progress import Watcher
from voxnas.operate.snapshot import Snapshot
from voxnas.training.jobs import network_job, proposal_job
from voxnas.training.store import Entry


@pytest.fixture
def watcher(study_copy: Path) -> Watcher:
    """The finished study, whose files may be changed."""
    return Watcher(study_copy / "results" / "tiny")


def age(root: Path, seconds: float = 3600) -> None:
    """Let all files of a folder be old, as those of a run that was left alone."""
    then = time.time() - seconds
    for path in [root, *root.rglob("*")]:
        os.utime(path, (then, then), follow_symlinks=False)


def go_back(watcher: Watcher) -> None:
    """To the moment at which all searches were done but one step, and nothing was selected."""
    paths = watcher.paths
    for late in ("networks", "evaluation", "figures", "model"):
        shutil.rmtree(paths.root / late)
    for late in ("finalists.json", "networks.tsv", "leaderboard.tsv", "comparisons.tsv", "report.html"):
        (paths.root / late).unlink()
    for log in (paths.root / "logs").rglob("*.log"):
        if log.relative_to(paths.root / "logs").parts[0] not in ("index", "preprocess", "propose", "step"):
            log.unlink()
    for name in ("result.json", "run.json", "curve.tsv"):
        (paths.step("random", 2) / name).unlink()
    (paths.root / "logs" / "step" / "random" / "2.log").unlink()


def stages(snapshot: Snapshot) -> dict[str, str]:
    return {stage.name: stage.state for stage in snapshot.stages}


def entry_of(watcher: Watcher, search: str, step: int) -> Entry:
    """The store entry that a step's training would have."""
    proposal = read_record(watcher.paths.step(search, step) / "proposal.json", Proposal)
    entry = Entry(watcher.paths.store / "0123456789abcdef")
    write_json(entry.job, proposal_job(watcher.paths, proposal))
    entry.heartbeat.touch()
    return entry


@contextmanager
def leased(entry: Entry) -> Iterator[None]:
    with entry.lease.hold(lambda: False, print) as held:
        assert held
        yield


def test_finished_study(watcher: Watcher) -> None:
    snapshot = watcher.look()
    assert snapshot.state == "finished" and set(stages(snapshot).values()) == {"done"}
    assert {(s.name, s.done, s.steps) for s in snapshot.searches} == {
        ("random", 3, 3),
        ("voxnas", 3, 3),
        ("baseline-unet", 3, 3),
    }
    notes = {stage.name: stage.note for stage in snapshot.stages}
    assert notes["index"] == "12 scans" and notes["preprocess"] == "2 of 2 shards"
    assert notes["train"].startswith("6 of 6") and not snapshot.running and not snapshot.unreadable
    runs = [read_json(path) for path in watcher.paths.store.glob("*/run.json")]
    assert snapshot.cost.spent == pytest.approx(sum(run["cpu_seconds"] for run in runs))
    assert (snapshot.cost.finished, snapshot.cost.to_come, snapshot.cost.left) == (len(runs), 0, 0.0)


def test_profiles_belong_to_the_benchmark(watcher: Watcher) -> None:
    next(watcher.paths.root.glob("networks/*/profile.json")).unlink()
    benchmark = next(stage for stage in watcher.look().stages if stage.name == "benchmark")
    assert benchmark.note == "3 of 3 networks scored, 2 profiled" and benchmark.state != "done"


def test_best_is_the_best_of_the_searches(watcher: Watcher) -> None:
    steps = [watcher.paths.step(search, k) for search in ("voxnas", "random") for k in range(3)]
    results = [read_record(step / "result.json", Result) for step in steps]
    best = watcher.look().best
    assert best is not None and best.score == max(r.score for r in results if r.score is not None)
    assert best.config["base_width"] in (8, 12, 16)


def test_reads_only(watcher: Watcher) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(watcher.paths.root.rglob("*"))}

    before = state()
    watcher.look()
    assert state() == before


def test_settings_of_the_run_are_recorded(watcher: Watcher) -> None:
    settings = read_record(watcher.paths.settings, StudySettings)
    assert (settings.study, settings.search.steps, settings.training.seeds) == ("tiny", 3, 2)


def test_before_the_last_step(watcher: Watcher) -> None:
    go_back(watcher)
    age(watcher.paths.root)
    snapshot = watcher.look()
    assert snapshot.state == "quiet" and 3500 < snapshot.quiet < 3800
    found = stages(snapshot)
    assert (found["preprocess"], found["train"], found["report"]) == ("done", "waiting", "waiting")
    random = next(s for s in snapshot.searches if s.name == "random")
    assert (random.done, random.queued, random.running) == (2, 1, 0)
    # One step at the mean of the two, and two seeds of three networks, chosen from what is known of samples and time.
    assert snapshot.cost.to_come == 7
    steps = [
        (read_json(path.parent / "run.json"), read_json(path))
        for path in watcher.paths.root.rglob("steps/*/result.json")
    ]
    mine = [run["cpu_seconds"] for run, result in steps if result["key"] in _keys(watcher, "random")]
    rate = sum(run["cpu_seconds"] for run, _ in steps) / sum(result["samples"] for _, result in steps)
    assert snapshot.cost.left == pytest.approx(sum(mine) / len(mine) + 6 * 12 * rate)


def _keys(watcher: Watcher, search: str) -> set[str]:
    return {read_json(path)["key"] for path in (watcher.paths.root / "search" / search).rglob("result.json")}


def test_a_running_training(watcher: Watcher) -> None:
    go_back(watcher)
    age(watcher.paths.root)
    entry = entry_of(watcher, "random", 2)
    write_json(entry.progress, {"samples": 6, "loss": 1.5, "score": 0.25, "rate": 0.5})
    with leased(entry):
        snapshot = watcher.look()
        (running,) = snapshot.running
        assert (running.name, running.pid, running.alive) == ("random 2", os.getpid(), True)
        assert (running.samples, running.goal, running.score, running.seconds_left) == (6, 8, 0.25, 4.0)
        assert snapshot.state == "running" and stages(snapshot)["search"] == "running"
        random = next(s for s in snapshot.searches if s.name == "random")
        assert (random.queued, random.running) == (0, 1)
        # A process that is gone holds nothing, whatever the time.
        lease = entry.lease.path
        dead = subprocess.Popen(["true"])
        dead.wait()
        write_json(lease, read_json(lease) | {"processes": [{"pid": dead.pid, "start": 1}]})
        assert not watcher.look().running[0].alive
        # On another host the beat decides.
        write_json(lease, read_json(lease) | {"host": "node7"})
        assert watcher.look().running[0].alive and watcher.look().running[0].host == "node7"
        age(entry.folder, 300)
        (stale,) = watcher.look().running
        assert not stale.alive and 290 < stale.silent < 400
    assert not watcher.look().running


def test_a_finalist_that_runs_has_its_name_and_seed(watcher: Watcher) -> None:
    paths = watcher.paths
    networks = map(Network.model_validate, read_json(paths.finalists)["networks"])
    network = next(n for n in networks if n.name == "unet")
    shutil.rmtree(paths.seed(network.key, 1))
    entry = Entry(paths.store / "0123456789abcdef")
    write_json(entry.job, network_job(paths, network, 1))
    with leased(entry):
        snapshot = watcher.look()
    assert [r.name for r in snapshot.running] == ["unet, seed 1"]
    assert stages(snapshot)["train"] == "running" and snapshot.cost.to_come == 1


def test_failed_trial_and_failed_job(watcher: Watcher, capsys: pytest.CaptureFixture[str]) -> None:
    go_back(watcher)
    paths = watcher.paths
    proposal = read_record(paths.step("random", 2) / "proposal.json", Proposal)
    write_json(
        paths.step("random", 2) / "result.json", Result(state="FAILED", reason="out of memory", key=proposal.key)
    )
    snapshot = watcher.look()
    assert [(f.name, f.reason) for f in snapshot.trials_failed] == [("random 2", "out of memory")]
    assert not snapshot.jobs_failed
    # A job that ends with an error of the user's, then with a bug.
    paths.plan.unlink()
    log = paths.root / "logs" / "plan.log"
    base = ["--log", str(log), "plan", "--spec", str(paths.spec("preprocess")), "--index", str(paths.index)]
    command = [sys.executable, "-m", "voxnas", *base, "--splits", "nowhere.json", "--output", str(paths.plan)]
    assert subprocess.run(command, capture_output=True).returncode == 2
    (failure,) = watcher.look().jobs_failed
    assert (failure.name, failure.log) == ("plan", log)
    assert failure.reason.startswith("nowhere.json does not exist")
    assert stages(watcher.look())["preprocess"] == "done"  # its shards are there
    age(paths.root)
    assert watcher.look().state == "failed"
    assert main(["watch", str(paths.root), "--once"]) == 0
    shown = capsys.readouterr().out
    assert "nowhere.json does not exist" in shown and "out of memory" in shown and "voxnas resume tiny" in shown


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"state": 3}', "\x00\xff", '{"schema_version": 99}'])
def test_any_file_may_be_broken(watcher: Watcher, text: str) -> None:
    entry = entry_of(watcher, "random", 2)
    write_json(entry.progress, {"samples": 6})
    watcher.look()
    with leased(entry):
        for path in sorted(watcher.paths.root.rglob("*.json")):
            before = path.read_bytes()
            path.write_text(text, encoding="latin-1")
            watcher.look()
            Watcher(watcher.paths.root).look()
            path.write_bytes(before)
        for path in sorted(watcher.paths.root.rglob("*.json")):
            path.write_text(text, encoding="latin-1")
        snapshot = Watcher(watcher.paths.root).look()
    assert snapshot.best is None and snapshot.state == "running"
    if not text.startswith(("[", "null")):
        assert snapshot.unreadable


def test_any_file_may_be_missing(watcher: Watcher) -> None:
    for path in sorted(watcher.paths.root.rglob("*.*")):
        if path.is_file():
            before, kept = path.read_bytes(), path.stat()
            path.unlink()
            Watcher(watcher.paths.root).look()
            path.write_bytes(before)
            os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert watcher.look().state == "finished"


def test_without_a_record_of_the_settings(watcher: Watcher, capsys: pytest.CaptureFixture[str]) -> None:
    watcher.paths.settings.unlink()
    assert {s.steps for s in watcher.look().searches} == {3}  # finalists.json says so
    go_back(watcher)
    snapshot = watcher.look()
    assert {s.steps for s in snapshot.searches} == {None} and snapshot.cost.to_come == 1
    assert main(["watch", str(watcher.paths.root), "--once"]) == 0
    assert "8 steps" in capsys.readouterr().out


def test_a_picture_without_a_terminal(study_copy: Path) -> None:
    command = [sys.executable, "-m", "voxnas", "watch", "tiny"]
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(command, cwd=study_copy, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and not done.stderr
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80 and lines[0].startswith("tiny  finished")
    assert any("search" in line and "9 of 9 steps" in line for line in lines)


def watch_in_a_terminal(folder: Path, act: str) -> tuple[int, str]:
    """Run `voxnas watch` in a terminal of 100 columns; `act` is ``interrupt`` or ``finish``."""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "50"}
    command = [sys.executable, "-m", "voxnas", "watch", "tiny", "--every", "0.3"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=child,
        stdout=child,
        stderr=child,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores it
    )
    os.close(child)
    text, acted, deadline = b"", False, time.monotonic() + 300
    while time.monotonic() < deadline:
        if select.select([parent], [], [], 0.2)[0]:
            try:
                text += os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
        if not acted and text.count(b"every 0.3 s") >= 3:
            acted = True
            if act == "interrupt":
                process.send_signal(signal.SIGINT)
            else:
                shutil.move(folder / "page", folder / "results" / "tiny" / "report.html")
    os.close(parent)
    return process.wait(timeout=60), text.decode(errors="replace")


@pytest.mark.parametrize("act", ["interrupt", "finish"])
def test_in_a_terminal_it_is_drawn_in_place(study_copy: Path, act: str) -> None:
    shutil.move(study_copy / "results" / "tiny" / "report.html", study_copy / "page")
    status, text = watch_in_a_terminal(study_copy, act)
    assert status == 0 and "Traceback" not in text
    assert "\x1b[2K" in text  # lines are drawn over
    assert ("finished" in text) == (act == "finish")


def test_unknown_and_unbegun_studies_are_one_line(
    study_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(study_copy)
    assert main(["watch", "tyni"]) == 2
    error = capsys.readouterr().err
    assert "there is no study 'tyni'" in error and error.count("\n") == 1
    (study_copy / "new.yaml").write_text(canonical_json({"study": "new"}))
    assert main(["watch", "new.yaml"]) == 2
    error = capsys.readouterr().err
    assert "study 'new' has not been started" in error and error.count("\n") == 1
