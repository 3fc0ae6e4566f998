"""Position of a process in a Slurm step, from the environment that srun sets. Imports no torch.

It needs neither ssh nor PMI: srun starts all processes, and they connect to process 0 at the name of its node and at a
port that follows from the numbers of job and step.
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

FIRST_PORT, PORTS = 20000, 10000  # below Linux's range of ephemeral ports (from 32768)


@dataclass(frozen=True)
class Place:
    """Position of a process in a Slurm step.

    Parameters
    ----------
    rank : int
        Rank of the process in the step.
    hosts : tuple of (str, int)
        The nodes in order, each with its number of processes; the ranks fill one node after the other.
    port : int
        Port of process 0.
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
        """Rank of this process on its node, and the number of processes there."""
        first = 0
        for _, count in self.hosts:
            if self.rank < first + count:
                return self.rank - first, count
            first += count
        raise ValueError(f"rank {self.rank} is not below the number of processes, {self.size}")

    def torch_environment(self) -> dict[str, str]:
        """Variables that torchrun would set."""
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
    """Find the position of this process, which srun has started with ``--distribution=block``.

    Parameters
    ----------
    environment : mapping of str to str
        Environment of the process.
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
    """Expand a `text` in Slurm's notation of repeated numbers: ``2(x3),1`` is 2, 2, 2, 1."""
    counts = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if found is None:
            raise ValueError(f"{text!r} is not a list of tasks per node")
        counts += [int(found[1])] * int(found[2] or 1)
    return counts
