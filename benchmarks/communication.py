"""What summing gradients over many processes costs: latency and bandwidth of a message, and four ways to sum.

The model is the usual one of two numbers a link (Hockney 1994; Thakur, Rabenseifner and Gropp 2005): a message of `n`
bytes takes ``latency + n / bandwidth``. It knows no slower process, no busy network and no time for adding up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls


@dataclass(frozen=True)
class Link:
    """Connection of two neighbours.

    Parameters
    ----------
    latency : float
        Seconds of an empty message.
    bandwidth : float
        Bytes per second, in each direction.
    """

    latency: float
    bandwidth: float


def ring(processes: int, size: float, link: Link) -> float:
    """Seconds of an all-reduce around a ring: a reduce-scatter, then an all-gather (Patarasuk and Yuan 2009).

    Parameters
    ----------
    processes : int
    size : float
        Bytes that each process holds.
    link : Link
        The slowest one of the ring.
    """
    return 2 * (processes - 1) * (link.latency + size / processes / link.bandwidth)


def hierarchical(nodes: int, per_node: int, size: float, inside: Link, between: Link) -> float:
    """Reduce-scatter in each node, rings over the nodes for each part, all-gather in each node (Jia et al. 2018).

    Parameters
    ----------
    nodes, per_node : int
        Nodes, and processes on each.
    size : float
        Bytes that each process holds.
    inside, between : Link
        Of two processes of a node; of two nodes, whose bandwidth the parts share.
    """
    return ring(per_node, size, inside) + ring(nodes, size, between)


def torus(columns: int, rows: int, size: float, horizontal: Link, vertical: Link) -> float:
    """Reduce-scatter along rows, all-reduce along columns, all-gather along rows (Mikami et al. 2018, section 2.2).

    Parameters
    ----------
    columns, rows : int
        Of the grid of processes.
    size : float
        Bytes that each process holds.
    horizontal, vertical : Link
        Of neighbours in a row and in a column; the latter carry a part of the bytes each.
    """
    return ring(columns, size, horizontal) + ring(rows, size / columns, vertical)


def efficiency(compute: float, communication: float, overlap: float) -> float:
    """Throughput of a process beside that of one alone.

    Parameters
    ----------
    compute, communication : float
        Seconds of a step.
    overlap : float
        Share of the computing behind which communication can hide: gradients are there layer by layer
        in the backward pass, which is two thirds of a step.
    """
    return compute / (compute + max(0.0, communication - overlap * compute))


def fit_link(processes: Sequence[int], sizes: Sequence[float], seconds: Sequence[float]) -> Link:
    """The link that explains measured rings best, by relative error.

    Parameters
    ----------
    processes, sizes, seconds : sequences of equal length
        Of each measured all-reduce; sizes in bytes.
    """
    p, n, t = (np.asarray(column, dtype=float) for column in (processes, sizes, seconds))
    terms = np.stack([2 * (p - 1), 2 * (p - 1) / p * n], axis=1) / t[:, None]
    (latency, per_byte), _ = nnls(terms, np.ones_like(t))
    return Link(float(latency), float(1 / max(per_byte, 1e-15)))
