import json
import os
import socket

import pytest

from voxnas.core.host import process_identity
from voxnas.operate.owner import profiles_of, read_owner, write_owner


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ()),
        (["--cores", "2", "all"], ()),
        (["--profile", "slurm", "--configfile", "a.yaml"], ("slurm",)),
        (["--profile=slurm", "--profile", "mine"], ("slurm", "mine")),
        (["--workflow-profile", "other"], ()),
        (["--profile"], ()),
    ],
)
def test_profiles_of_a_command_line(arguments, expected):
    assert profiles_of(arguments) == expected


def test_an_owner_is_read_back(tmp_path, monkeypatch):
    assert read_owner(tmp_path) is None
    monkeypatch.setattr("sys.argv", ["snakemake", "--profile", "slurm"])
    write_owner(tmp_path, "brains", "slurm")
    owner = read_owner(tmp_path)
    assert (owner.study, owner.executor, owner.profile) == ("brains", "slurm", ("slurm",))
    assert (owner.host, owner.process) == (socket.gethostname(), process_identity(os.getpid()))
    assert [p.name for p in (tmp_path / ".snakemake").iterdir()] == ["voxnas.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"study": "a", "profile": []})])
def test_a_torn_record_is_none(tmp_path, text):
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / ".snakemake" / "voxnas.json").write_text(text)
    assert read_owner(tmp_path) is None


def test_the_dead_equal_no_living_process():
    assert process_identity(os.getpid())["start"] > 0
    assert process_identity(2**22 + 1)["start"] == 0
