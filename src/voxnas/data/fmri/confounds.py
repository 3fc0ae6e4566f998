"""What is regressed out of a run, in the words of nilearn's ``load_confounds``, and which volumes stay.

Tables of fMRIPrep are read by :func:`nilearn.interfaces.fmriprep.load_confounds` itself. Any other table, such as
that of our own spatial steps, is read here by the same words and fMRIPrep's column names; FSL's six columns ``mc1`` ..
``mc6`` (MCFLIRT: rotations in rad, then translations in mm) are understood as well.

==================  ====================================================================================
``motion``          6 parameters; ``power2``: and squares; ``derivatives``: and backward differences;
                    ``full``: all 24 (Friston et al. 1996; Satterthwaite et al. 2013)
``wm_csf``          mean signals of white matter and of cerebrospinal fluid
``global_signal``   mean signal of the brain
``compcor``         5 principal components each of white matter and of cerebrospinal fluid (Behzadi et al. 2007)
``ica_aroma``       components that ICA-AROMA took for motion (Pruim et al. 2015)
``high_pass``       cosines up to a frequency: fMRIPrep's columns (1/128 Hz), or made at ``bold.high_pass``
==================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxnas.core.errors import ScanError, UserError
from voxnas.core.settings import CleaningSettings
from voxnas.data.fmri.source import Source
from voxnas.io.tables import read_table

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
MCFLIRT = ("mc4", "mc5", "mc6", "mc1", "mc2", "mc3")  # in the order of MOTION
COMPONENTS = 5
HEAD_RADIUS_MM = 50.0  # on which rotations are measured (Power et al. 2012)
LEAST_FREE = 3  # volumes that must stay over the number of confounds
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Confounds:
    """Confounds of one run.

    Attributes
    ----------
    names : tuple of str
        Of the columns.
    values : ndarray, (T, K)
        What is regressed out.
    kept : ndarray of bool, (T,)
        Volumes that stay; the others are not steady, or moved too far.
    displacement : ndarray, (T,), or None
        Framewise displacement in mm; None where nothing is known of the motion.
    """

    names: tuple[str, ...]
    values: Values
    kept: NDArray[np.bool_]
    displacement: Values | None


def framewise_displacement(motion: Values) -> Values:
    """Framewise displacement in mm (Power et al. 2012, doi:10.1016/j.neuroimage.2011.10.018).

    Parameters
    ----------
    motion : ndarray, (T, 6)
        Translations in mm, then rotations in rad. The first volume has 0.
    """
    steps = np.abs(np.diff(motion, axis=0, prepend=motion[:1]))
    return steps[:, :3].sum(axis=1) + HEAD_RADIUS_MM * steps[:, 3:].sum(axis=1)


def read_confounds(source: Source, frames: int, settings: CleaningSettings) -> Confounds:
    """The confounds of a run.

    Parameters
    ----------
    source : Source
        The run.
    frames : int
        Number of its volumes.
    settings : CleaningSettings

    Raises
    ------
    ScanError
        If the run has no table, or the table lacks what the strategy asks for.
    """
    words: Sequence[str] = settings.confounds
    tabled = [word for word in words if word != "high_pass"]
    if source.confounds is None:
        if tabled or settings.scrub_mm is not None:
            asked = f"bold.confounds asks for {', '.join(tabled)}" if tabled else "bold.scrub_mm is set"
            raise ScanError(
                f"{source.bold}: the run has no table of confounds (desc-confounds_timeseries.tsv), but {asked}",
                "run the spatial steps (bold.spatial: motion), or set bold.confounds: [high_pass]",
            )
        table, kept = pd.DataFrame(index=range(frames)), np.ones(frames, dtype=bool)
        displacement = None
    else:
        table = _numbers(source, frames)
        displacement, kept = _displacement(table), _steady(table)
    parts = (
        _of_fmriprep(source, tabled, settings)
        if source.preprocessed and tabled
        else _of_table(source, table, tabled, settings)
    )
    if "high_pass" in words:
        cosines = _starting(table, "cosine")
        parts.append(table[cosines] if cosines else _cosines(frames, source, settings.high_pass))
    if settings.scrub_mm is not None:
        if displacement is None:
            raise ScanError(f"{source.confounds}: bold.scrub_mm needs motion parameters, and it has none")
        kept = kept & (displacement <= settings.scrub_mm)
    chosen = pd.concat(parts, axis=1) if parts else pd.DataFrame(index=range(frames))
    if int(kept.sum()) < chosen.shape[1] + LEAST_FREE:
        raise ScanError(
            f"{source.bold}: {int(kept.sum())} volumes are left, too few to regress out {chosen.shape[1]} confounds",
            "choose fewer bold.confounds, or a larger bold.scrub_mm",
        )
    return Confounds(tuple(map(str, chosen.columns)), chosen.to_numpy(dtype=float), kept, displacement)


def _numbers(source: Source, frames: int) -> pd.DataFrame:
    """The table of confounds as numbers; FSL's columns of motion get fMRIPrep's names."""
    table = read_table(source.confounds, {}).apply(pd.to_numeric, errors="coerce")  # type: ignore[arg-type]
    if len(table) != frames:
        raise ScanError(f"{source.confounds}: {len(table)} rows for {frames} volumes of {source.bold.name}")
    if set(MCFLIRT) <= set(table) and MOTION[0] not in table:
        table = table.rename(columns=dict(zip(MCFLIRT, MOTION, strict=True)))
    return table


def _displacement(table: pd.DataFrame) -> Values | None:
    if "framewise_displacement" in table:
        return table["framewise_displacement"].fillna(0).to_numpy(dtype=float)
    if set(MOTION) <= set(table):
        return framewise_displacement(table[list(MOTION)].to_numpy(dtype=float))
    return None


def _steady(table: pd.DataFrame) -> NDArray[np.bool_]:
    flags = table[_starting(table, "non_steady_state")].to_numpy(dtype=float) > 0
    return np.asarray(~flags.any(axis=1))


def _starting(table: pd.DataFrame, prefix: str) -> list[str]:
    return sorted(str(c) for c in table.columns if str(c).startswith(prefix))


def _of_table(
    source: Source, table: pd.DataFrame, words: Sequence[str], settings: CleaningSettings
) -> list[pd.DataFrame]:
    """The columns of each word, in a table that nilearn did not get from fMRIPrep."""
    parts = []
    for word in words:
        columns = _columns(table, word)
        missing = [c for c in columns if c not in table]
        if missing or not columns:
            raise ScanError(
                f"{source.confounds}: bold.confounds asks for {word!r}, and there is no {', '.join(missing) or word}",
                f"take {word} out of bold.confounds; the table has {', '.join(table.columns[:12])}",
            )
        part = table[columns]
        if word == "motion":
            part = _expanded(part, settings.motion)
        parts.append(part.bfill().fillna(0))
    return parts


def _columns(table: pd.DataFrame, word: str) -> list[str]:
    """Names of the columns that a word stands for."""
    if word == "motion":
        return list(MOTION)
    if word == "wm_csf":
        return ["csf", "white_matter"]
    if word == "global_signal":
        return ["global_signal"]
    prefixes = {"compcor": ("w_comp_cor_", "c_comp_cor_"), "ica_aroma": ("aroma_motion_",)}[word]
    found = [_starting(table, prefix) for prefix in prefixes]
    if word == "compcor":
        found = [columns[:COMPONENTS] for columns in found]
    return [column for columns in found for column in columns]


def _expanded(motion: pd.DataFrame, terms: str) -> pd.DataFrame:
    parts = [motion]
    if terms in ("derivatives", "full"):
        parts.append(motion.diff().add_suffix("_derivative1"))
    if terms in ("power2", "full"):
        parts += [(part**2).add_suffix("_power2") for part in tuple(parts)]
    return pd.concat(parts, axis=1)


def _cosines(frames: int, source: Source, high_pass: float | None) -> pd.DataFrame:
    """Discrete cosines below a frequency in Hz, over the volumes of the run."""
    from nilearn.glm.first_level import make_first_level_design_matrix

    if high_pass is None:
        raise UserError("bold.confounds names high_pass, but bold.high_pass is empty", "give a frequency in Hz")
    times = np.arange(frames) * source.repetition_time
    design = make_first_level_design_matrix(times, drift_model="cosine", high_pass=high_pass)
    return design.drop(columns="constant").reset_index(drop=True).add_prefix("cosine_")


def _of_fmriprep(source: Source, words: Sequence[str], settings: CleaningSettings) -> list[pd.DataFrame]:
    """What nilearn reads of fMRIPrep's table by the same words."""
    from nilearn.interfaces.fmriprep import load_confounds

    # compcor is refused without the cosines that its components were made with.
    strategy = (*words, "high_pass") if "compcor" in words else tuple(words)
    try:
        table, _ = load_confounds(
            str(source.bold),
            strategy=strategy,
            motion=settings.motion,
            wm_csf="basic",
            global_signal="basic",
            compcor="anat_separated",
            n_compcor=COMPONENTS,
            ica_aroma="basic",
            demean=False,
        )
    except (ValueError, KeyError, OSError) as error:
        raise ScanError(f"{source.confounds}: {error}", "choose other bold.confounds") from None
    return [table.reset_index(drop=True)[[c for c in table if not c.startswith("cosine")]]]
