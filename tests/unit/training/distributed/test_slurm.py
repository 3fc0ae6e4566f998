"""Where a process stands in a step of Slurm's."""

import pytest

from voxnas.training.distributed.slurm import Place, expand_counts, find_place


@pytest.mark.parametrize(("text", "wanted"), [("1", [1]), ("2(x3),1", [2, 2, 2, 1]), ("1,4(x2)", [1, 4, 4])])
def test_counts(text, wanted):
    assert expand_counts(text) == wanted


def test_counts_that_are_none_are_refused():
    with pytest.raises(ValueError, match="2x"):
        expand_counts("2x")


def test_places_fill_the_nodes_in_order():
    hosts = (("a", 2), ("b", 1))
    places = [Place(rank, hosts, 20001) for rank in range(3)]
    assert [place.local for place in places] == [(0, 2), (1, 2), (0, 1)]
    assert places[2].torch_environment() == {
        "RANK": "2",
        "WORLD_SIZE": "3",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": "a",
        "MASTER_PORT": "20001",
    }
    with pytest.raises(ValueError, match="rank 3"):
        _ = Place(3, hosts, 20001).local


def test_a_place_is_read_from_the_environment(tmp_path, monkeypatch):
    scontrol = tmp_path / "scontrol"  # as Slurm's answers
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames n[1-2]" ] && printf "n1\\nn2\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    step = {"SLURM_STEP_NODELIST": "n[1-2]", "SLURM_STEP_TASKS_PER_NODE": "2,1", "SLURM_PROCID": "2"}
    first = find_place({**step, "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"})
    second = find_place({**step, "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "1"})
    assert (first.rank, first.size, first.hosts, first.address) == (2, 3, (("n1", 2), ("n2", 1)), "n1")
    assert first.port != second.port
