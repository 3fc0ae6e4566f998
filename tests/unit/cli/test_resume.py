import os
import subprocess
import sys
from pathlib import Path

import pytest

from voxnas.cli.main import main
from voxnas.operate import resume

SNAKEFILE = """
rule all:
    output: "done.txt"
    shell: "echo {config[data_root]} > {output}"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder after a kill of Snakemake: locked, with an incomplete job."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    studies = tmp_path / "config" / "studies"
    studies.mkdir(parents=True)
    (studies / "brains.yaml").write_text("study: brains\ndata: {folder: brains}\n")
    spec = tmp_path / "results" / "brains" / "spec"
    spec.mkdir(parents=True)
    (spec / "index.json").write_text('{"data_root": "/data/brains"}')
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("done.txt\n")
    return tmp_path


def test_locked_study_goes_on_with_its_data(folder):
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "voxnas", "resume", "brains", "--", "--cores", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "removing the lock of the killed run" in done.stdout
    assert Path("done.txt").read_text() == "/data/brains\n"
    assert not resume.is_locked(folder)


def test_unknown_study_is_one_line(folder, capsys):
    assert main(["resume", "brain"]) == 2
    known = capsys.readouterr().err.partition("known: ")[2].strip().split(", ")
    assert {"brains", "phantom"} < set(known), "those of the folder, and those of the project"


def test_refuses_beside_a_running_snakemake(folder, capsys):
    script = folder / "snakemake"
    script.write_text("print(flush=True)\nimport time; time.sleep(60)\n")
    process = subprocess.Popen([sys.executable, script, "--cores", "1"], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        assert main(["resume", "brains"]) == 2
        assert "Snakemake is running in" in capsys.readouterr().err
        assert resume.is_locked(folder)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
