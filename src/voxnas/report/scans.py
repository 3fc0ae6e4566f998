"""Figures of the predictions on test scans: label maps, or diagnostics of a classification or regression."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import winning_network
from voxnas.benchmark.results import ENSEMBLE
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import FiguresSpec
from voxnas.data.preprocess import nonzero_box
from voxnas.io.nifti import load_array, load_label
from voxnas.io.records import read_json, read_plan, read_record
from voxnas.io.tables import read_table, table_rows
from voxnas.report.style import COLOURS, EDGE, identity, legend_below, new_figure, spread_rows

LABEL_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00")
COLUMNS = 3
MARGIN = 8  # voxels around the labels
FINE = 8  # subdivision of voxels for the outline
OPACITY = 0.55
MOST_COUNTS = 12  # classes of a confusion matrix with its counts
OUTLINE = "#e8112d"


def scans(paths: StudyPaths) -> tuple[Figure, pd.DataFrame]:
    """Draw the predictions of the winner: label maps, or diagnostics of a classification or regression."""
    spec = read_record(paths.spec("figures"), FiguresSpec)
    table = results.cases(paths.cases(winning_network(paths).key), spec.task)
    if spec.task == "classification":
        return _diagnose_classes(table)
    if spec.task == "regression":
        return _diagnose_values(table, read_json(paths.dataset)["target"] or "value")
    return _label_maps(paths, table[table.seed == "0"], spec.scans)


def chosen_scans(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Choose scans at equal distances from the worst to the best score, so that the choice is not arbitrary.

    Parameters
    ----------
    table : DataFrame
        Cases of one seed, with the column ``dice``.
    count : int
        Maximum number of scans; a single scan is the median.
    """
    return spread_rows(table.sort_values(["dice", "scan"], ignore_index=True), count)


def _label_maps(paths: StudyPaths, cases: pd.DataFrame, count: int) -> tuple[Figure, pd.DataFrame]:
    """Draw each scan in the axial slice with the largest labelled area: the truth above, the prediction below."""
    drawn = chosen_scans(cases, count)
    index = read_table(paths.scans, {"scan": str, "image": str, "label": str}).set_index("scan")
    labels = read_plan(paths.plan).labels
    values = [k for k in sorted(map(int, labels)) if k]
    rows = -(-len(drawn) // COLUMNS)
    figure = new_figure(8.6, 5.9 * rows + 0.4)
    panels = figure.subplots(2 * rows, COLUMNS, squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    slices = []
    for position, row in enumerate(table_rows(drawn)):
        above, below = panels[2 * (position // COLUMNS) :, position % COLUMNS][:2]
        prediction = paths.cases(row.key).parent / "predictions" / f"{row.scan}.nii.gz"
        image = index.image[row.scan].split(";")[0]
        slices.append(_draw_slice((above, below), image, index.label[row.scan], prediction, values))
        above.set_title(f"{row.scan}: truth", fontsize=9.5)
        below.set_title(f"prediction, Dice {row.dice:.3f}", fontsize=9.5, weight="normal")
    handles: list[Artist] = [
        Patch(color=_colour(i), alpha=OPACITY, label=labels[str(value)]) for i, value in enumerate(values)
    ]
    handles.append(Line2D([], [], color=OUTLINE, linewidth=1.4, label="outline of the truth"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(handles)))
    return figure, drawn[["scan", "dice"]].assign(axial_slice=slices)


def _colour(position: int) -> str:
    return LABEL_COLOURS[position % len(LABEL_COLOURS)]


def _canonical(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Reorient an array (X, Y, Z) to R, A, S; return it with its voxel sizes in mm."""
    image = nib.as_closest_canonical(nib.Nifti1Image(array, affine))
    return np.asanyarray(image.dataobj), image.header.get_zooms()[:3]


def _draw_slice(panels: tuple[Axes, Axes], image: str, label: str, prediction: Path, values: list[int]) -> int:
    """Draw one scan with the truth and with the prediction; return the number of the axial slice."""
    voxels, affine = load_array(image)
    voxels = voxels if voxels.ndim == 3 else voxels[..., 0]
    volume, spacing = _canonical(voxels, affine)
    truth, _ = _canonical(load_label(label).astype(np.int16), affine)
    predicted, _ = _canonical(load_label(prediction).astype(np.int16), affine)
    z = int((truth > 0).sum((0, 1)).argmax())
    box = nonzero_box(((truth > 0) | (predicted > 0))[None])
    across, along = (slice(max(0, start - MARGIN), stop + MARGIN) for start, stop in box[:2])
    shown, truth, predicted = (a[across, along, z].T for a in (volume, truth, predicted))
    low, high = np.percentile(shown, (1, 99.5))
    extent, aspect = (0, shown.shape[1], 0, shown.shape[0]), spacing[1] / spacing[0]
    place: dict[str, Any] = {"origin": "lower", "extent": extent, "aspect": aspect}
    for axes, labels in zip(panels, (truth, predicted), strict=True):
        axes.imshow(shown, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), **place)
        overlay = np.zeros((*labels.shape, 4))
        for position, value in enumerate(values):
            overlay[labels == value] = to_rgba(_colour(position), OPACITY)
        axes.imshow(overlay, interpolation="nearest", **place)
    for value in values:
        # Voxels are subdivided, so that the outline follows their borders.
        mask = np.pad(np.kron(truth == value, np.ones((FINE, FINE))), 1)
        if mask.any():
            x, y = ((np.arange(n) - 0.5) / FINE for n in mask.shape[::-1])
            panels[1].contour(x, y, mask, levels=[0.5], colors=[OUTLINE], linewidths=1.2)
    return z


def _diagnose_classes(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the ROC curves of each class, the confusion matrix and the calibration.

    Thin lines are seeds. Matrix and calibration are those of the ensemble, of a single seed without one. The
    calibration shows the share of true predictions in five bins of the predicted probability, over all classes.
    """
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import auc, confusion_matrix, roc_curve

    classes = [c.removeprefix("probability_") for c in table.columns if c.startswith("probability_")]
    figure = new_figure(8.6, 3.4)
    roc, matrix, calibration = figure.subplots(1, 3)
    for axes in (roc, calibration):
        axes.plot([0, 1], [0, 1], color=EDGE, linestyle="--", linewidth=1)
    points = []
    for position, name in enumerate(classes[1:] if len(classes) == 2 else classes):
        colour, _ = identity(position)
        for seed, part in table.groupby("seed"):
            false, true, _ = roc_curve(part.target == name, part[f"probability_{name}"])
            thick = seed == ENSEMBLE or table.seed.nunique() == 1
            label = f"{name}, AUC {auc(false, true):.2f}"
            width = {"linewidth": 2.2, "label": label} if thick else {"linewidth": 0.8, "alpha": 0.6}
            roc.plot(false, true, color=colour, **width)
            rates = {"false_positive_rate": false, "true_positive_rate": true}
            points.append(pd.DataFrame({"class": name, "seed": seed, **rates}))
    roc.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal", xlim=(-0.01, 1.01))
    roc.legend(loc="lower right", fontsize=7)
    whole = table[table.seed == (ENSEMBLE if (table.seed == ENSEMBLE).any() else table.seed.iloc[0])]
    counts = confusion_matrix(whole.target, whole.predicted, labels=classes)
    matrix.imshow(counts, cmap="Blues", vmin=0, vmax=1.6 * max(1, counts.max()))
    if len(classes) <= MOST_COUNTS:
        for (row, column), count in np.ndenumerate(counts):
            matrix.text(column, row, str(count), ha="center", va="center", color="#111111", fontsize=9)
    matrix.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=8)
    matrix.set_yticks(range(len(classes)), classes, fontsize=8)
    matrix.set(xlabel="predicted class", ylabel="true class")
    matrix.grid(False)
    truth = np.concatenate([whole.target == name for name in classes])
    stated = np.concatenate([whole[f"probability_{name}"] for name in classes]).clip(0, 1)
    happened, predicted = calibration_curve(truth, stated, n_bins=5)
    calibration.plot(predicted, happened, "o-", color=COLOURS[0])
    calibration.set(xlabel="predicted probability", ylabel="share of true predictions", aspect="equal")
    return figure, pd.concat(points, ignore_index=True)


def _diagnose_values(table: pd.DataFrame, target: str) -> tuple[Figure, pd.DataFrame]:
    """Draw predicted against true values, and differences against means (Bland and Altman 1986).

    Dots are seeds, circles the ensemble. Dashed: identity, and the mean difference with its limits of agreement (1.96
    standard deviations).
    """
    figure = new_figure(8.6, 4.0)
    axes, agreement = figure.subplots(1, 2)
    ensemble = table.seed == ENSEMBLE
    low, high = table[["target", "predicted"]].to_numpy().min(), table[["target", "predicted"]].to_numpy().max()
    axes.plot([low, high], [low, high], color=EDGE, linestyle="--", linewidth=1, label="identity")
    difference, mean = table.predicted - table.target, (table.predicted + table.target) / 2
    for panel, x, y in ((axes, table.target, table.predicted), (agreement, mean, difference)):
        panel.plot(x[~ensemble], y[~ensemble], ".", color=COLOURS[0], alpha=0.5, label="one seed")
        panel.plot(x[ensemble], y[ensemble], "o", color=COLOURS[1], mfc="none", label="ensemble")
    centre, reach = difference[~ensemble].mean(), 1.96 * difference[~ensemble].std()
    for value in (centre - reach, centre, centre + reach):
        agreement.axhline(value, color=EDGE, linestyle="--", linewidth=1)
    axes.set(xlabel=f"true {target}", ylabel=f"predicted {target}", aspect="equal")
    agreement.set(xlabel=f"mean of true and predicted {target}", ylabel="predicted minus true")
    legend_below(figure, axes)
    return figure, table[["seed", "scan", "target", "predicted"]]
