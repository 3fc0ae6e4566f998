"""Extrapolation of learning curves: the model of freeze-thaw against the last value and a fitted power law.

    python benchmarks/search/curves.py --output results/published/search --curves CURVES.tsv ... \
        --table DATA/nas_tables/nasbench201.csv.gz

`--curves` names tables of learning curves (`learning_curves.tsv` or `trial_curves.tsv` of a study). A fifth of the
curves of a table is complete, the others end where the share `cut` of the training is done; the score at the end is
predicted. Each fifth is complete once. Of `--table`, 20 random networks have both scores (12 and 200 epochs), and that
after 200 epochs is predicted for 500 others; 20 repetitions. Only the model learns from the complete curves.

`curves.tsv` has one line for each table, cut and method: mean absolute error in units of the standard deviation of the
final scores of the table, with a 95 % bootstrap interval over curves; rank correlation with the final score; and of the
model the share of final scores within its interval of 90 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from problem import read_csv
from scipy.optimize import curve_fit
from scipy.stats import norm, spearmanr

from voxnas.core.seeds import derive_seed
from voxnas.io.tables import read_table, write_table
from voxnas.search.curves import forecast

Curve = list[tuple[float, float]]
CUTS = (0.1, 0.25, 0.5)
FOLDS, KNOWN, ASKED, REPEATS = 5, 20, 500, 20
EPOCHS = ("cifar100_val_acc_12ep", "cifar100_test_acc_200ep")
BAND = float(norm.ppf(0.95))


def last_value(curve: Curve) -> float:
    """Return the last score."""
    return curve[-1][1]


def power_law(curve: Curve) -> float:
    """Return the end of ``a - b u^-c`` fitted by least squares; the last score where the fit fails."""
    share, score = np.array(curve).T
    if len(curve) < 4:
        return last_value(curve)
    top, gain = score.max(), max(np.ptp(score), 1e-6)
    try:
        found, _ = curve_fit(
            lambda u, a, b, c: a - b * u**-c, share, score, (top, gain / 10, 0.5),
            bounds=((score.min() - gain, 0, 0.01), (top + gain, np.inf, 5)),
        )  # fmt: skip
    except RuntimeError:
        return last_value(curve)
    return float(found[0] - found[1])


METHODS: dict[str, Callable[[Curve], float]] = {"last value": last_value, "power law": power_law}


def read_curves(path: Path) -> list[Curve]:
    """Read the curves of a table that reach the end of the longest training of their kind, as shares of it."""
    table = read_table(path, {})
    table[["samples", "score"]] = table[["samples", "score"]].astype(float)
    names = ["name", "seed"] if "name" in table else ["search", "trial"]
    if "step" in table:  # the last step of a trial holds its whole curve
        table["step"] = table["step"].astype(int)
        table = table[table.step == table.groupby(names).step.transform("max")]
    curves = [g.sort_values("samples") for _, g in table.groupby(names, sort=True)]
    longest = max(map(len, curves))
    curves = [g for g in curves if len(g) == longest]
    return [list(zip(g.samples / g.samples.max(), g.score, strict=True)) for g in curves]


def splits(curves: Sequence[Curve], cut: float) -> Iterator[tuple[list[Curve], list[Curve]]]:
    """Yield the complete curves and the others, once for each fifth."""
    order = np.random.default_rng(derive_seed(0, "curves")).permutation(len(curves))
    for fold in range(FOLDS):
        complete = set(order[fold::FOLDS].tolist())
        yield [curves[i] for i in sorted(complete)], [c for i, c in enumerate(curves) if i not in complete]


def pairs(table: pd.DataFrame) -> Iterator[tuple[list[Curve], list[Curve]]]:
    """Yield networks with both scores, and others of whom the second is asked."""
    rng = np.random.default_rng(derive_seed(0, "networks"))
    values = table.drop_duplicates("isomorphism_class")[list(EPOCHS)].to_numpy()
    for _ in range(REPEATS):
        picks = values[rng.choice(len(values), KNOWN + ASKED, replace=False)]
        curves = [[(12 / 200, float(a)), (1.0, float(b))] for a, b in picks]
        yield curves[:KNOWN], curves[KNOWN:]


def write_pool(curves: Sequence[Curve], path: Path) -> None:
    """Write the first, third, ninth .. score of each curve as a table with a line for each network."""
    at = [3**k for k in range(int(np.log(len(curves[0])) / np.log(3) + 1e-9) + 1)]
    columns = {f"score_{k}": [curve[k - 1][1] for curve in curves] for k in at}
    pd.DataFrame({"network": [f"n{i}" for i in range(len(curves))], **columns}).to_csv(path, index=False)


def judge(name: str, cut: float, groups: Sequence[tuple[list[Curve], list[Curve]]]) -> list[dict]:
    """Return the lines of a table of curves."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("last value", "power law", "mixture")}
    truth, inside, ranks = [], [], {name: [] for name in found}
    for complete, asked in groups:
        begun = [[p for p in curve if p[0] <= cut + 1e-9] or curve[:1] for curve in asked]
        ends = np.array([curve[-1][1] for curve in asked])
        model = forecast([*complete, *begun])
        guesses = {n: np.array([method(c) for c in begun]) for n, method in METHODS.items()}
        guesses["mixture"] = model.mean[len(complete) :]
        for method, guess in guesses.items():
            found[method].append(np.abs(guess - ends))
            ranks[method].append(spearmanr(guess, ends).statistic)
        deviation = np.hypot(model.deviation[len(complete) :], model.noise)
        inside.append(np.abs(guesses["mixture"] - ends) <= BAND * deviation)
        truth.append(ends)
    scale = np.concatenate(truth).std()
    lines = []
    for method, errors in found.items():
        values = np.concatenate(errors) / scale
        draws = np.random.default_rng(0).choice(values, (2000, len(values))).mean(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        lines.append(
            {
                "curves": name, "count": len(values), "cut": cut, "method": method, "error": round(values.mean(), 3),
                "low": round(low, 3), "high": round(high, 3), "rank_correlation": round(np.mean(ranks[method]), 3),
                "within_90": round(np.concatenate(inside).mean(), 3) if method == "mixture" else None,
            }
        )  # fmt: skip
    return lines


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=Path, nargs="*", default=[], help="tables of learning curves")
    parser.add_argument("--table", type=Path, help="nasbench201.csv.gz")
    parser.add_argument("--output", type=Path, help="folder for curves.tsv")
    parser.add_argument("--pool", type=Path, help="only write the curves to this CSV, which replay.py can read")
    arguments = parser.parse_args()
    if arguments.pool:
        write_pool([curve for path in arguments.curves for curve in read_curves(path)], arguments.pool)
        return
    lines = []
    for path in arguments.curves:
        curves = read_curves(path)
        for cut in CUTS:
            lines += judge(f"{path.parent.parent.name} ({len(curves)})", cut, list(splits(curves, cut)))
    if arguments.table:
        lines += judge("nasbench201", 12 / 200, list(pairs(read_csv([arguments.table]))))
    table = pd.DataFrame(lines)
    print(table.to_string(index=False))
    if arguments.output:
        write_table(arguments.output / "curves.tsv", table)


if __name__ == "__main__":
    main()
