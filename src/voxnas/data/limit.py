"""A random sample of a data set's scans, for quick studies."""

import numpy as np

from voxnas.core.seeds import derive_seed
from voxnas.data.layout import Candidate
from voxnas.data.splits import apportion


def limit_scans(candidates: list[Candidate], limit: int, stratify: bool, seed: int) -> list[Candidate]:
    """Draw participants until `limit` scans are reached; the draw does not depend on the order of the scans.

    Parameters
    ----------
    candidates : list of Candidate
        All scans.
    limit : int
        Largest number of scans. The scans of a participant are taken together; a participant that exceeds the limit is
        skipped.
    stratify : bool
        Draw from each class (target) in proportion to its number of scans.
    seed : int
        The study's seed.
    """
    if len(candidates) <= limit:
        return candidates
    strata: dict[str, dict[str, list[Candidate]]] = {}
    classes: dict[str, str] = {}
    for candidate in sorted(candidates, key=lambda c: c.scan):
        stratum = classes.setdefault(candidate.participant, str(candidate.target) if stratify else "")
        strata.setdefault(stratum, {}).setdefault(candidate.participant, []).append(candidate)
    sizes = {name: sum(map(len, members.values())) for name, members in strata.items()}
    chosen: list[Candidate] = []
    for stratum, seats in apportion(sizes, limit).items():
        groups = list(strata[stratum].values())
        for place in np.random.default_rng(derive_seed(seed, "limit", stratum)).permutation(len(groups)):
            if len(groups[place]) <= seats:
                chosen += groups[place]
                seats -= len(groups[place])
    return chosen
