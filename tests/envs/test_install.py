"""Which torch envs/install.sh installs, and when the Makefile runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TORCH = next(line for line in (ROOT / "envs" / "requirements.txt").read_text().split() if line.startswith("torch=="))
PYTHON = """\
#!/bin/sh
echo "$@" >>"$LOG"
case "$*" in
*__version__*) echo "$FOUND" ;;
*list*) printf '%s\\n' numpy==2 torch==2 triton==3 nvidia-nccl-cu13==2 cuda-toolkit==13 ;;
esac
"""


@pytest.fixture
def venv(tmp_path):
    """A folder in the place of an environment, whose Python records what it is called with."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "pip"):
        (folder / "bin" / name).write_text(PYTHON)
        (folder / "bin" / name).chmod(0o755)
    (folder / ".installed-torch-old").touch()
    return folder


def commands_on_torch(venv: Path, found: str, torch: str | None) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TORCH"}
    environment |= {"LOG": str(venv / "log"), "FOUND": found} | ({"TORCH": torch} if torch else {})
    subprocess.run(
        [ROOT / "envs" / "install.sh", venv, sys.executable], env=environment, check=True, capture_output=True
    )
    lines = (venv / "log").read_text().splitlines()
    return [line for line in lines if "torch==" in line or "uninstall" in line]


def test_new_environment_gets_what_the_settings_of_pip_give(venv):
    (command,) = commands_on_torch(venv, "", None)[-1:]
    assert command.endswith(TORCH) and "index" not in command


def test_named_build_comes_from_pytorchs_own_index_and_replaces_another_with_its_libraries(venv):
    removal, named, rest = commands_on_torch(venv, TORCH.removeprefix("torch==") + "+cu130", "cpu")
    assert removal.endswith("uninstall -q -y torch triton nvidia-nccl-cu13 cuda-toolkit")
    assert named.endswith(f"--no-deps --index-url https://download.pytorch.org/whl/cpu {TORCH}+cpu")
    assert rest.endswith(TORCH) and "index" not in rest
    assert not list(venv.glob(".installed*"))


@pytest.mark.parametrize("torch", [None, "cpu"])
def test_build_that_is_there_is_kept(venv, torch):
    assert not commands_on_torch(venv, TORCH.removeprefix("torch==") + "+cpu", torch)
    assert list(venv.glob(".installed*"))


def test_makefile_keeps_the_chosen_build_until_another_is_named(venv):
    def installs(*options: str) -> bool:
        environment = {name: value for name, value in os.environ.items() if name not in ("TORCH", "MAKEFLAGS")}
        command = ["make", "-n", "-C", ROOT, "run", f"VENV={venv}", *options]
        return (
            "install.sh" in subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        )

    (venv / ".installed-torch-old").rename(venv / ".installed-torch-cpu")
    assert not installs() and not installs("TORCH=cpu")
    assert installs("TORCH=cu126") and installs("TORCH=")
