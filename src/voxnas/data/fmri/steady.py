"""How many volumes at the start of a run are not yet in steady state.

Magnetisation takes a few excitations to settle, so the first volumes are brighter. As in fMRIPrep
(Esteban et al. 2019), they are the leading outliers of the mean signal over the first volumes, by the
modified z-score of Iglewicz & Hoaglin (1993); here also by at least 1 %, so that a slow drift is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

FIRST = 50  # volumes that are looked at
SCORE = 3.5
BRIGHTER = 0.01
MOST = 10  # a scanner that takes longer has another problem


def count_non_steady(means: Sequence[float]) -> int:
    """Number of leading volumes to drop.

    Parameters
    ----------
    means : sequence of float, (T,)
        Mean signal of each volume; the first 50 count. Of fewer than 5, none is dropped.
    """
    level = np.asarray(means[:FIRST], dtype=float)
    if len(level) < 5:
        return 0
    middle = np.median(level)
    spread = np.median(np.abs(level - middle)) / 0.6745
    outlier = (level - middle > SCORE * spread) & (level > (1 + BRIGHTER) * middle)
    count = sum(1 for _ in takewhile(bool, outlier))
    return count if count <= min(MOST, len(level) // 2) else 0
