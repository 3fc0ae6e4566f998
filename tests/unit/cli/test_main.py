"""Errors of the system about an output are one line, and leave no part of it."""

import resource
import subprocess
import sys

import pytest

from voxnas.cli.main import main

VERBS = {"report": "report.html", "figures": "figures", "package": "model", "publish": "published", "phantom": "data"}


def arguments_of(verb, study, output):
    given = ["--spec", study.spec("index")] if verb == "phantom" else ["--study", study.root]
    return [verb, *map(str, given), "--output", str(output)]


@pytest.mark.parametrize("verb", VERBS)
def test_an_output_below_a_file_is_one_line(verb, finished_study, tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    assert main(arguments_of(verb, finished_study, tmp_path / "file" / VERBS[verb])) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(tmp_path / "file") in said
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("verb", ["report", "package", "publish"])
def test_a_full_disk_is_one_line_and_leaves_nothing(verb, finished_study, tmp_path):
    """The limit on the size of files fails in the writing, as a full disk."""
    output = tmp_path / VERBS[verb]
    command = [sys.executable, "-m", "voxnas", *arguments_of(verb, finished_study, output)]
    limit = (10, 10)
    done = subprocess.run(
        command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit), capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and str(output.name) in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["--log", str(tmp_path / "file" / "log"), "settings", "--write"]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["watch", "validate"])
def test_a_reader_that_closes_the_pipe_gets_no_traceback(fake_segmentation, verb):
    folder = fake_segmentation.root if verb == "watch" else fake_segmentation.root / "images"
    command = [sys.executable, "-m", "voxnas", verb, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)
