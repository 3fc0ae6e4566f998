"""`voxnas run` around a program that stands in for Snakemake."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from voxnas.cli.main import build_parser, main, with_default_study

SOURCE = os.path.dirname(os.path.dirname(sys.modules["voxnas"].__file__))
SNAKEMAKE = """
import os, pathlib, signal, sys, time

print("Building DAG of jobs...\\n" * 500, flush=True)
logs = pathlib.Path("results/brains/logs")
act = os.environ["ACT"]
if act == "refuse":
    print("voxnas: data_root is empty")
    sys.exit(2)
if act == "unknown":
    print("usage: snakemake [targets ...]\\n__main__.py: error: unrecognized arguments: --such")
    sys.exit(2)
if act == "fail":
    (logs / "plan.log").write_text("voxnas plan: no scan has a voxel size\\n")
    sys.exit(1)
if act == "crash":
    print("MissingInputException in rule index")
    sys.exit(1)
pathlib.Path("began").touch()
try:
    time.sleep(3 if act == "short" else 60)
except KeyboardInterrupt:
    pathlib.Path("interrupted").touch()
    sys.exit(1)
"""


@pytest.fixture
def folder(tmp_path):
    """A working folder; its Snakemake acts as ACT says."""
    (tmp_path / "Snakefile").touch()
    (tmp_path / "study.yaml").write_text("study: brains\ndata: {phantom: {}}\n")
    (tmp_path / "modules" / "snakemake").mkdir(parents=True)
    (tmp_path / "modules" / "snakemake" / "__init__.py").touch()
    (tmp_path / "modules" / "snakemake" / "__main__.py").write_text(SNAKEMAKE)
    return tmp_path


def command_of(folder, act, *arguments):
    path = f"{folder / 'modules'}:{SOURCE}"
    environment = {**os.environ, "PYTHONPATH": path, "ACT": act, "TERM": "xterm-256color"}
    return {
        "args": [sys.executable, "-m", "voxnas", "run", "study.yaml", *arguments], "cwd": folder, "env": environment
    }  # fmt: skip


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("act", "status", "words"),
    [
        ("refuse", 2, "voxnas run: data_root is empty\n"),
        ("unknown", 2, "voxnas run: unrecognized arguments: --such\n"),
        ("fail", 1, "voxnas run: job plan failed: no scan has a voxel size (results/brains/logs/plan.log)\n"),
        ("crash", 1, "MissingInputException in rule index\n"),
    ],
)
def test_the_status_passes_through_and_the_reason_is_told(folder, act, status, words):
    done = subprocess.run(**command_of(folder, act), capture_output=True, text=True)
    assert done.returncode == status and words in done.stderr
    assert "Building DAG" not in done.stdout and len(done.stdout.splitlines()) < 3
    assert status != 2 or (done.stderr.count("\n") == 1 and not done.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_reaches_snakemake_and_says_how_to_continue(folder, number):
    with subprocess.Popen(**command_of(folder, "long", "--cores", "2"), stdout=subprocess.PIPE, text=True) as process:
        wait_for(folder / "began")
        process.send_signal(number)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number
    assert (folder / "interrupted").exists() and "voxnas run study.yaml --cores 2\n" in said


def test_a_terminal_shows_one_screen_that_never_scrolls(folder):
    rows = 12
    parent, child = pty.openpty()
    call = command_of(folder, "short")
    call["env"] |= {"LINES": str(rows), "COLUMNS": "60"}
    process = subprocess.Popen(**call, stdin=child, stdout=child, stderr=child)
    os.close(child)
    text = b""
    while select.select([parent], [], [], 60)[0]:
        try:
            text += os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
    os.close(parent)
    assert process.wait(timeout=60) == 0
    before, _, shown = text.decode().partition("\x1b[?1049h")  # the alternate screen
    screen, left, after = shown.partition("\x1b[?1049l")
    frames = screen.split("\x1b[H")[1:]
    assert before.strip() == "" and left and "Done:" in after
    assert len(frames) >= 2 and any("brains" in frame for frame in frames)
    assert all(frame.count("\n") < rows for frame in frames)


def test_a_missing_study_and_a_missing_snakemake_are_one_line(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["run", "nope.yaml"]) == 2
    assert "there is no study 'nope.yaml'" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["run", "study.yaml"]) == 2
    assert "pip install 'voxnas[workflow]'" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--cores", "2"], ["--config", "seed=1"]])
def test_without_a_study_the_default_study_runs(options):
    parsed = build_parser("run").parse_args(with_default_study(["--log", "file", "run", *options]))
    assert (parsed.study, parsed.snakemake) == ("phantom", options)


@pytest.mark.parametrize("arguments", [["run", "-h"], ["run", "study.yaml", "--cores", "2"]])
def test_a_given_study_and_the_help_are_kept(arguments):
    assert with_default_study(arguments) == arguments


def test_the_lock_of_a_killed_run_names_the_remedy(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / ".snakemake" / "locks").mkdir(parents=True)
    (folder / ".snakemake" / "locks" / "0.output.lock").touch()
    assert main(["run", "study.yaml"]) == 2
    assert "voxnas resume study.yaml" in capsys.readouterr().err
