"""Detection of the non-steady-state volumes at the start of a run.

The magnetisation approaches the steady state within a few excitations, so the first volumes are brighter. As in
fMRIPrep (Esteban et al. 2019), they are the leading outliers of the mean signal over the first volumes, by the modified
z-score of Iglewicz & Hoaglin (1993). They must also exceed the median by 1 %, which excludes slow drifts.
"""

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

FIRST = 50  # number of examined volumes
SCORE = 3.5
BRIGHTER = 0.01
MOST = 10  # more outliers have another cause


def count_non_steady(means: Sequence[float]) -> int:
    """Return the number of leading volumes to drop.

    Parameters
    ----------
    means : sequence of float, (T,)
        Mean signal of each volume; the first 50 are examined. Runs of fewer than 5 volumes are kept whole.
    """
    level = np.asarray(means[:FIRST], dtype=float)
    if len(level) < 5:
        return 0
    middle = np.median(level)
    spread = np.median(np.abs(level - middle)) / 0.6745
    outlier = (level - middle > SCORE * spread) & (level > (1 + BRIGHTER) * middle)
    count = sum(1 for _ in takewhile(bool, outlier))
    return count if count <= min(MOST, len(level) // 2) else 0
