"""Write voxnas.yaml, the conda file that every rule names, from the lock: ``python envs/make_conda.py``.

Conda brings Python and the compiler, pip the versions of requirements.txt, so that both ways to install give the same
environment. voxnas.post-deploy.sh adds Horovod, and the workflow Voxnas itself.
"""

from pathlib import Path

ENVS = Path(__file__).parent
TEMPLATE = """\
# Written by envs/make_conda.py from requirements.txt. Do not edit.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - gxx
  - make
  - cmake
  - pip:
"""


def conda_text(lock: str) -> str:
    """Conda file for a lock, given as the text of requirements.txt."""
    return TEMPLATE + "".join(f"      - {line}\n" for line in lock.splitlines() if not line.startswith("#"))


def write_conda() -> None:
    """Write voxnas.yaml beside this file."""
    (ENVS / "voxnas.yaml").write_text(conda_text((ENVS / "requirements.txt").read_text()))


if __name__ == "__main__":
    write_conda()
