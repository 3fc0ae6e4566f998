"""The wheel, built from the source distribution: its files, and a study planned by it in an empty folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from running import planned_jobs

ROOT = Path(__file__).parents[2]
BUILT = (
    "src",
    "workflow",
    "config",
    "envs",
    "Snakefile",
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
)
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, f'build_{sys.argv[1]}')(sys.argv[2])"
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.sif")


def build(kind: str, source: Path, output: Path) -> Path:
    """Build a distribution offline with the installed setuptools."""
    command = [sys.executable, "-c", BUILD, kind, str(output)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (found,) = output.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in BUILT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "copy" / name, ignore=IGNORED)
        else:
            shutil.copy(ROOT / name, folder / "copy")
    shutil.unpack_archive(build("sdist", folder / "copy", folder), folder / "source")
    (source,) = (folder / "source").iterdir()
    return build("wheel", source, folder)


def test_the_wheel_has_the_modules_and_the_files_of_the_workflow(wheel: Path) -> None:
    kept = {path: path.relative_to(ROOT / "src") for path in (ROOT / "src" / "voxnas").rglob("*")}
    for name in ("Snakefile", "workflow", "config", "envs"):
        found = [ROOT / name, *(ROOT / name).rglob("*")]
        kept |= {path: Path("voxnas/project") / path.relative_to(ROOT) for path in found}
    wanted = {
        str(target) for path, target in kept.items()
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".sif"
    }  # fmt: skip
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert packed == wanted
        mode = archive.getinfo("voxnas/project/workflow/profiles/install.sh").external_attr >> 16
        assert mode & 0o100  # pip keeps the permission to execute
        (entry,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "voxnas = voxnas.cli.main:main" in archive.read(entry).decode()


def test_a_study_is_planned_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "voxnas", "run", "--dry-run"]
    done = subprocess.run(
        command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    jobs = planned_jobs(done.stdout + done.stderr)
    assert jobs["phantom"] == jobs["index"] == jobs["all"] == 1 and jobs["step"] > 1
