"""Division of a batch among processes of unequal speed."""

import heapq
from collections.abc import Sequence


def split_by_speed(samples: int, speeds: Sequence[float]) -> list[int]:
    """Divide a batch so that the last process finishes as early as possible.

    Each process first receives its proportional share rounded down. Each remaining sample goes to the process that
    would finish it first; ties go to the highest rank.

    Parameters
    ----------
    samples : int
        Samples of the batch.
    speeds : sequence of float
        Samples per second of each process, positive.

    Returns
    -------
    list of int
        Samples of each process; may be 0.
    """
    total = sum(speeds)
    shares = [int(samples * speed / total) for speed in speeds]
    finish = [((shares[i] + 1) / speed, -i) for i, speed in enumerate(speeds)]
    heapq.heapify(finish)
    for _ in range(samples - sum(shares)):
        i = -finish[0][1]
        shares[i] += 1
        heapq.heapreplace(finish, ((shares[i] + 1) / speeds[i], -i))
    return shares
