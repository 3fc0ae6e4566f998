"""Both container recipes build the same image from the same files."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "envs" / "Dockerfile").read_text()
RECIPE = (ROOT / "envs" / "apptainer.def").read_text()


def copied_by_docker() -> dict[str, str]:
    found = {}
    for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE):
        *sources, target = line.split()
        found |= {source: target + source if target.endswith("/") else target for source in sources}
    return found


def copied_by_apptainer() -> dict[str, str]:
    section = re.search(r"^%files\n(.*?)\n\n", RECIPE, re.MULTILINE | re.DOTALL)[1]
    return dict(line.split() for line in section.splitlines())


def test_recipes_copy_the_same_files_which_are_there():
    assert copied_by_docker() == copied_by_apptainer()
    assert all((ROOT / source).exists() for source in copied_by_docker())
    allowed = (ROOT / "envs" / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in allowed if line.startswith("!")} == set(copied_by_docker())


def test_recipes_run_the_same_script_with_the_same_arguments():
    script = "/opt/voxnas/envs/install_image.sh /opt/venv"
    assert script in DOCKERFILE and script in RECIPE
    for name, form in (("BASE", r"ARG BASE=(\S+)"), ("TORCH", r"ARG TORCH=(\S+)")):
        assert f"    {name}={re.search(form, DOCKERFILE)[1]}" in RECIPE.splitlines()
    assert "PATH=/opt/venv/bin:" in DOCKERFILE and "PATH=/opt/venv/bin:" in RECIPE
