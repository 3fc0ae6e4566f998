"""A model of the time of an all-reduce of gradients: latency and bandwidth of a link, and three algorithms.

The model has two parameters per link (Hockney 1994; Thakur, Rabenseifner and Gropp 2005): a message of `n`
bytes takes ``latency + n / bandwidth``. It neglects slow processes, network contention and the time of the summation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls


@dataclass(frozen=True)
class Link:
    """Connection between two neighbours.

    Parameters
    ----------
    latency : float
        Time of an empty message, in s.
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
        The slowest link of the ring.
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
        Link between two processes of a node, and between two nodes; the parts share the bandwidth of the latter.
    """
    return ring(per_node, size, inside) + ring(nodes, size, between)


def torus(columns: int, rows: int, size: float, horizontal: Link, vertical: Link) -> float:
    """Reduce-scatter along rows, all-reduce along columns, all-gather along rows (Mikami et al. 2018, section 2.2).

    Parameters
    ----------
    columns, rows : int
        Shape of the grid of processes.
    size : float
        Bytes that each process holds.
    horizontal, vertical : Link
        Link between neighbours in a row, and in a column; each of the latter carries a part of the bytes.
    """
    return ring(columns, size, horizontal) + ring(rows, size / columns, vertical)


def efficiency(compute: float, communication: float, overlap: float) -> float:
    """Throughput per process, relative to a single process.

    Parameters
    ----------
    compute, communication : float
        Time of a step, in s.
    overlap : float
        Share of the computation that can overlap with communication: gradients become available layer by layer
        in the backward pass, which is two thirds of a step.
    """
    return compute / (compute + max(0.0, communication - overlap * compute))


def fit_link(processes: Sequence[int], sizes: Sequence[float], seconds: Sequence[float]) -> Link:
    """Fit the link to measured ring all-reduces by the relative error.

    Parameters
    ----------
    processes, sizes, seconds : sequences of equal length
        One element per measured all-reduce; sizes in bytes.
    """
    p, n, t = (np.asarray(column, dtype=float) for column in (processes, sizes, seconds))
    terms = np.stack([2 * (p - 1), 2 * (p - 1) / p * n], axis=1) / t[:, None]
    (latency, per_byte), _ = nnls(terms, np.ones_like(t))
    return Link(float(latency), float(1 / max(per_byte, 1e-15)))
