"""Confounds to be regressed out of a run, by the keywords of nilearn's ``load_confounds``, and the volumes to be kept.

Tables of fMRIPrep are read by :func:`nilearn.interfaces.fmriprep.load_confounds`. Any other table, such as the table of
the spatial steps, is read here by the same keywords and fMRIPrep's column names, or FSL's six columns ``mc1`` ..
``mc6`` (MCFLIRT: rotations in rad, then translations in mm).

==================  ====================================================================================
``motion``          6 parameters; ``power2``: and squares; ``derivatives``: and backward differences;
                    ``full``: all 24 (Friston et al. 1996; Satterthwaite et al. 2013)
``wm_csf``          mean signals of white matter and of cerebrospinal fluid
``global_signal``   mean signal of the brain
``compcor``         5 principal components each of white matter and of cerebrospinal fluid (Behzadi et al. 2007)
``ica_aroma``       components that ICA-AROMA classified as motion (Pruim et al. 2015)
``high_pass``       cosines up to a frequency: fMRIPrep's columns (1/128 Hz), or computed at ``bold.high_pass``
==================  ====================================================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxnas.core.errors import ScanError, UserError, of_one_scan
from voxnas.core.settings import CleaningSettings
from voxnas.data.fmri.pose import MOTION, framewise_displacement
from voxnas.data.fmri.source import Source
from voxnas.io.tables import read_table

MCFLIRT = ("mc4", "mc5", "mc6", "mc1", "mc2", "mc3")  # in the order of MOTION
COLUMNS = {"motion": MOTION, "wm_csf": ("csf", "white_matter"), "global_signal": ("global_signal",)}
COMPONENTS = 5
LEAST_FREE = 3  # least excess of kept volumes over confounds
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Confounds:
    """Confounds of one run.

    Attributes
    ----------
    names : tuple of str
        Of the columns.
    values : ndarray, (T, K)
        The regressors.
    kept : ndarray of bool, (T,)
        Volumes to be kept; the others are not steady, or exceed the limit of motion.
    displacement : ndarray, (T,), or None
        Framewise displacement in mm; None if the motion is unknown.
    """

    names: tuple[str, ...]
    values: Values
    kept: NDArray[np.bool_]
    displacement: Values | None


def read_confounds(source: Source, frames: int, settings: CleaningSettings) -> Confounds:
    """Read the confounds of a run.

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
        If the run has no table, the table lacks a column of the strategy, or too few volumes are kept.
    """
    tabled = [word for word in settings.confounds if word != "high_pass"]
    table = _read_numbers(source, frames)
    if table is None and (tabled or settings.scrub_mm is not None):
        use = f"bold.confounds has {', '.join(tabled)}" if tabled else "bold.scrub_mm is set"
        raise ScanError(
            f"{source.bold}: the run has no table of confounds (desc-confounds_timeseries.tsv), but {use}",
            "run the spatial steps (bold.spatial: motion), or set bold.confounds: [high_pass]",
        )
    if table is None:
        table = pd.DataFrame(index=range(frames))
    displacement = _displacement(table)
    kept = np.asarray(~(table[_starting(table, "non_steady_state")].to_numpy(dtype=float) > 0).any(axis=1))
    parts = (
        _of_fmriprep(source, tabled, settings)
        if source.preprocessed and tabled
        else [_of_table(source, table, word, settings) for word in tabled]
    )
    if "high_pass" in settings.confounds:
        cosines = _starting(table, "cosine")
        parts.append(table[cosines] if cosines else _cosines(frames, source, settings.high_pass))
    if settings.scrub_mm is not None:
        if displacement is None:
            raise ScanError(f"{source.confounds}: bold.scrub_mm needs motion parameters, and the table has none")
        kept = kept & (displacement <= settings.scrub_mm)
    chosen = pd.concat(parts, axis=1) if parts else pd.DataFrame(index=range(frames))
    if int(kept.sum()) < chosen.shape[1] + LEAST_FREE:
        raise ScanError(
            f"{source.bold}: {int(kept.sum())} volumes are left, too few to regress out {chosen.shape[1]} confounds",
            "choose fewer bold.confounds, or a larger bold.scrub_mm",
        )
    return Confounds(tuple(map(str, chosen.columns)), chosen.to_numpy(dtype=float), kept, displacement)


def _read_numbers(source: Source, frames: int) -> pd.DataFrame | None:
    """Read the table of confounds as numbers, with fMRIPrep's names for FSL's columns of motion."""
    if source.confounds is None:
        return None
    with of_one_scan():
        table = read_table(source.confounds, {}).apply(pd.to_numeric, errors="coerce")
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


def _starting(table: pd.DataFrame, prefix: str) -> list[str]:
    return sorted(str(c) for c in table.columns if str(c).startswith(prefix))


def _of_table(source: Source, table: pd.DataFrame, word: str, settings: CleaningSettings) -> pd.DataFrame:
    """Return the columns of a keyword from a table that is not fMRIPrep's."""
    if word == "compcor":
        columns = [c for prefix in ("w_comp_cor_", "c_comp_cor_") for c in _starting(table, prefix)[:COMPONENTS]]
    elif word == "ica_aroma":
        columns = _starting(table, "aroma_motion_")
    else:
        columns = list(COLUMNS[word])
    missing = [c for c in columns if c not in table]
    if missing or not columns:
        raise ScanError(
            f"{source.confounds}: bold.confounds has {word!r}, but the table has no {', '.join(missing) or word}",
            f"remove {word} from bold.confounds; the table has {', '.join(table.columns[:12])}",
        )
    part = table[columns]
    return (_expanded(part, settings.motion) if word == "motion" else part).bfill().fillna(0)


def _expanded(motion: pd.DataFrame, terms: str) -> pd.DataFrame:
    """Add the derivatives and the squares that the terms select."""
    parts = [motion]
    if terms in ("derivatives", "full"):
        parts.append(motion.diff().add_suffix("_derivative1"))
    if terms in ("power2", "full"):
        parts += [(part**2).add_suffix("_power2") for part in tuple(parts)]
    return pd.concat(parts, axis=1)


def _cosines(frames: int, source: Source, high_pass: float | None) -> pd.DataFrame:
    """Return the discrete cosines below a frequency in Hz, over the volumes of the run."""
    from nilearn.glm.first_level import make_first_level_design_matrix

    if high_pass is None:
        raise UserError("bold.confounds has high_pass, but bold.high_pass is empty", "set a frequency in Hz")
    times = np.arange(frames) * source.repetition_time
    design = make_first_level_design_matrix(times, drift_model="cosine", high_pass=high_pass)
    return design.drop(columns="constant").reset_index(drop=True).add_prefix("cosine_")


def _of_fmriprep(source: Source, words: Sequence[str], settings: CleaningSettings) -> list[pd.DataFrame]:
    """Read fMRIPrep's table by nilearn."""
    from nilearn.interfaces.fmriprep import load_confounds

    # nilearn rejects compcor without the cosines that preceded its components.
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
