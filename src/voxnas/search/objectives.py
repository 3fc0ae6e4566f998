"""Several objectives: dominance, hypervolume, and its expected improvement.

Objectives are losses, smaller is better. The first column is the loss of the score, which is known after a training.
The other columns are costs such as latency or MACs, which are computed from the shapes of a network before it is
trained. Therefore only the first column is uncertain, and the expected hypervolume improvement has a closed form.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from voxnas.core.settings import SoftTarget

Floats = NDArray[np.float64]
MARGIN = 0.1  # of the reference beyond the largest cost, as a share of the range of the costs


def soft_constraint_reward(score: float, costs: Mapping[str, float], targets: Mapping[str, SoftTarget]) -> float:
    """Score with soft constraints on costs (MnasNet, Tan et al. 2019, section 3.1, with equal exponents).

    The reward is the score times the product of ``(cost / target)^-exponent``. A negative score, such as a negative
    error, is divided by this factor, so that a costlier network always has the smaller reward.

    Parameters
    ----------
    score : float
        Larger is better.
    costs, targets : mapping
        Costs of the network and their targets, by name.
    """
    factor = float(np.prod([(costs[name] / target.value) ** -target.exponent for name, target in targets.items()]))
    return score * factor if score > 0 else score / factor


def dominance_ranks(losses: Floats) -> NDArray[np.int_]:
    """Return the rank of each point by nondominated sorting (Deb et al. 2002, section III.A), from 0.

    Parameters
    ----------
    losses : ndarray, (N, D)
        Points of rank 0 are dominated by none, those of rank 1 only by points of rank 0, and so on. Equal points do
        not dominate each other.
    """
    no_worse: NDArray[np.bool_] = np.all(losses[:, None] <= losses[None], axis=2)
    dominates = no_worse & ~no_worse.T
    ranks = np.full(len(losses), -1)
    rank = 0
    while (left := ranks < 0).any():
        ranks[left & ~dominates[left].any(axis=0)] = rank
        rank += 1
    return ranks


def crowding_distances(losses: Floats) -> Floats:
    """Return the crowding distance of each point of a front (Deb et al. 2002, section III.B), in ranges of the front.

    Parameters
    ----------
    losses : ndarray, (N, D)

    Returns
    -------
    distances : ndarray, (N,)
        Infinite for the ends of the front in an objective.
    """
    distances = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distances[order[[0, -1]]] = np.inf
        if span > 0:
            distances[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distances


def best_first(losses: Floats) -> list[int]:
    """Order points by their dominance rank, within a rank by decreasing crowding distance, then by their index."""
    ranks, crowding = dominance_ranks(losses), np.zeros(len(losses))
    for rank in set(ranks.tolist()):
        crowding[ranks == rank] = crowding_distances(losses[ranks == rank])
    return [int(i) for i in np.lexsort((-crowding, ranks))]


def hypervolume(losses: Floats, reference: Floats) -> float:
    """Volume that points dominate within a reference point.

    Parameters
    ----------
    losses : ndarray, (N, D)
    reference : ndarray, (D,)
        Points that are worse in any objective dominate nothing.
    """
    inside = losses[(losses < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    if inside.shape[1] == 1:
        return float(reference[0] - inside.min())
    # Slices along the last objective, between its successive values.
    inside = inside[np.argsort(inside[:, -1], kind="stable")]
    ends = np.append(inside[1:, -1], reference[-1])
    thickness = ends - inside[:, -1]
    slices = (hypervolume(inside[: i + 1, :-1], reference[:-1]) for i in range(len(inside)))
    return float(sum(area * depth for area, depth in zip(slices, thickness, strict=True) if depth > 0))


def reference_point(losses: Floats) -> Floats:
    """Return a point that is worse than all points (N, D) by a tenth of their range in each objective."""
    low, high = losses.min(axis=0), losses.max(axis=0)
    found: Floats = high + MARGIN * np.where(high > low, high - low, 1.0)
    return found


def spread(losses: Floats, count: int) -> list[int]:
    """Choose points that together dominate much: the best score, then greedily the largest gain of hypervolume.

    The hypervolume is submodular, so that the greedy choice has at least a share of 1 - 1/e of the largest one
    (Guerreiro et al. 2016). A point that adds nothing is chosen only when no other is left.

    Parameters
    ----------
    losses : ndarray, (N, D)
        Each objective is scaled to its range.
    count : int
        Number of points; at most N are returned.

    Returns
    -------
    indices : list of int
    """
    if not len(losses) or count < 1:
        return []
    span = np.ptp(losses, axis=0)
    scaled = (losses - losses.min(axis=0)) / np.where(span > 0, span, 1.0)
    reference = reference_point(scaled)
    chosen = [min(range(len(losses)), key=lambda i: (*scaled[i], i))]
    while len(chosen) < min(count, len(losses)):
        left = [i for i in range(len(losses)) if i not in chosen]
        chosen.append(max(left, key=lambda i: (hypervolume(scaled[[*chosen, i]], reference), -scaled[i].sum(), -i)))
    return chosen


def hypervolume_improvement(
    front: Floats, reference: Floats, costs: Floats, improvement: Callable[[float], Floats]
) -> Floats:
    """Improvement of the hypervolume by candidates whose costs are known and whose loss is not.

    At every point of the space of costs, a candidate improves on the best loss of the points that cost no more. The
    improvement of the hypervolume is the integral of this improvement over the costs that are at least those of the
    candidate. The integrand is constant between the costs of the front, so that the integral is a sum. With expected
    improvements (Jones et al. 1998) the sum is the expected hypervolume improvement (Emmerich et al. 2006); without
    costs it is the expected improvement itself.

    Parameters
    ----------
    front : ndarray, (N, D)
        Losses and costs of the known points, at least one.
    reference : ndarray, (D,)
        Worst loss and costs that count.
    costs : ndarray, (M, D - 1)
        Costs of the candidates.
    improvement : callable
        Function of a loss that returns the improvement of each candidate on it, (M,).

    Returns
    -------
    improvements : ndarray, (M,)
    """
    edges = [np.unique(column[column < end]) for column, end in zip(front.T[1:], reference[1:], strict=True)]
    lowest = np.meshgrid(*(np.append(-np.inf, e) for e in edges), indexing="ij")
    best = np.full([len(e) + 1 for e in edges], reference[0])  # loss of the front at the lowest corner of each cell
    for loss, *cost in front:
        reached = np.all([grid >= c for grid, c in zip(lowest, cost, strict=True)], axis=0) if cost else True
        best[reached] = np.minimum(best[reached], loss)
    volumes = np.ones((len(costs), *(1 for _ in edges)))
    for axis, (edge, end) in enumerate(zip(edges, reference[1:], strict=True)):
        begins = np.maximum(np.append(-np.inf, edge), costs[:, axis, None])
        lengths = np.maximum(np.append(edge, end) - begins, 0.0)
        volumes = volumes * lengths.reshape(len(costs), *(-1 if i == axis else 1 for i in range(len(edges))))
    total = np.zeros(len(costs))
    for loss in np.unique(best):
        total += volumes[:, best == loss].sum(axis=1) * improvement(float(loss))
    return total


def expected_improvement(mean: Floats, deviation: Floats, incumbent: float) -> Floats:
    """Return the expected improvement (Jones et al. 1998) of normal losses below an incumbent.

    Parameters
    ----------
    mean, deviation : ndarray, (M,)
    incumbent : float

    Returns
    -------
    improvements : ndarray, (M,)
    """
    from scipy.stats import norm

    u = (incumbent - mean) / deviation
    found: Floats = deviation * (u * norm.cdf(u) + norm.pdf(u))
    return found
