"""Where a process stands in a step of Slurm's, from the environment that srun gives it. Imports no torch.

There is no ssh and no PMI in it: srun starts all processes, and the first one is met at its node's name and at
a port that follows from the numbers of job and step.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

FIRST_PORT, PORTS = 20000, 10000  # below the range from which Linux gives ports to whoever asks (from 32768)


@dataclass(frozen=True)
class Place:
    """One process of a step.

    Parameters
    ----------
    rank : int
        Number of the process in the step.
    hosts : tuple of (str, int)
        The nodes in order, each with its number of processes; the ranks fill them one after the other.
    port : int
        At which process 0 is met.
    """

    rank: int
    hosts: tuple[tuple[str, int], ...]
    port: int

    @property
    def size(self) -> int:
        """Number of processes."""
        return sum(count for _, count in self.hosts)

    @property
    def address(self) -> str:
        """Node of process 0."""
        return self.hosts[0][0]

    @property
    def local(self) -> tuple[int, int]:
        """Number of this process on its node, and how many are there."""
        first = 0
        for _, count in self.hosts:
            if self.rank < first + count:
                return self.rank - first, count
            first += count
        raise ValueError(f"rank {self.rank} is none of {self.size}")

    def torch_environment(self) -> dict[str, str]:
        """What torchrun would set."""
        local_rank, local_size = self.local
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.size),
            "LOCAL_RANK": str(local_rank),
            "LOCAL_WORLD_SIZE": str(local_size),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


def find_place(environment: Mapping[str, str]) -> Place:
    """Place of this process, which srun has started with ``--distribution=block``.

    Parameters
    ----------
    environment : mapping of str to str
        Of the process.
    """
    nodes = environment["SLURM_STEP_NODELIST"]
    listed = subprocess.run(["scontrol", "show", "hostnames", nodes], stdout=subprocess.PIPE, text=True, check=True)
    counts = expand_counts(environment["SLURM_STEP_TASKS_PER_NODE"])
    job, step = int(environment["SLURM_JOB_ID"]), int(environment["SLURM_STEP_ID"])
    return Place(
        rank=int(environment["SLURM_PROCID"]),
        hosts=tuple(zip(listed.stdout.split(), counts, strict=True)),
        port=FIRST_PORT + (job * 7 + step) % PORTS,
    )


def expand_counts(text: str) -> list[int]:
    """Expand a text in Slurm's short form of numbers: ``2(x3),1`` is 2, 2, 2, 1."""
    counts = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if found is None:
            raise ValueError(f"{text!r} is no list of tasks per node")
        counts += [int(found[1])] * int(found[2] or 1)
    return counts
