import json
import warnings

import numpy as np
import pandas as pd
import pytest

from voxnas.core.errors import ScanError, UserError
from voxnas.core.settings import CleaningSettings
from voxnas.data.fmri.confounds import MCFLIRT, read_confounds
from voxnas.data.fmri.pose import MOTION, framewise_displacement
from voxnas.io.tables import write_table

from .conftest import FRAMES, INTERVAL, make_motion

SETTINGS = CleaningSettings(confounds=["motion", "wm_csf"], high_pass=0.01)


def settings(**changed):
    return CleaningSettings(**{**dict(SETTINGS), **changed})


@pytest.mark.parametrize(("terms", "columns"), [("basic", 6), ("power2", 12), ("derivatives", 12), ("full", 24)])
def test_terms_of_motion(make_source, confound_table, terms, columns):
    found = read_confounds(make_source(table=confound_table), FRAMES, settings(confounds=["motion"], motion=terms))
    assert found.values.shape == (FRAMES, columns) and np.isfinite(found.values).all()
    assert found.kept.all() and found.displacement[0] == 0


@pytest.mark.parametrize("terms", ["basic", "power2", "derivatives", "full"])
@pytest.mark.parametrize("words", [["motion"], ["motion", "wm_csf", "global_signal"]], ids=["motion", "signals"])
def test_the_words_mean_what_nilearn_means(make_source, confound_table, tmp_path, terms, words):
    """The same table, read by nilearn as fMRIPrep's and by us as our own."""
    theirs = make_source(table=confound_table, name="sub-1_task-rest_desc-preproc", preprocessed=True)
    write_table(tmp_path / "sub-1_task-rest_desc-confounds_timeseries.tsv", confound_table)
    (tmp_path / "sub-1_task-rest_desc-confounds_timeseries.json").write_text("{}")
    mine = make_source(table=confound_table, name="sub-1_task-other")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = (read_confounds(s, FRAMES, settings(confounds=words, motion=terms)) for s in (theirs, mine))
    assert sorted(a.names) == sorted(b.names)
    left, right = (pd.DataFrame(c.values, columns=c.names)[sorted(a.names)] for c in (a, b))
    pd.testing.assert_frame_equal(left.iloc[1:], right.iloc[1:])  # what a difference is before there is one is free


def test_components_of_fmriprep(make_source, confound_table, tmp_path):
    rng = np.random.default_rng(0)
    meta = {}
    for number in range(14):
        name, mask = f"a_comp_cor_{number:02d}", "WM" if number < 7 else "CSF"
        confound_table[name] = rng.normal(size=FRAMES)
        meta[name] = {"Mask": mask, "Method": "aCompCor", "Retained": True}
    confound_table["cosine00"] = np.cos(np.linspace(0, np.pi, FRAMES))
    source = make_source(table=confound_table, name="sub-1_task-rest_desc-preproc", preprocessed=True)
    write_table(tmp_path / "sub-1_task-rest_desc-confounds_timeseries.tsv", confound_table)
    (tmp_path / "sub-1_task-rest_desc-confounds_timeseries.json").write_text(json.dumps(meta))
    found = read_confounds(source, FRAMES, settings(confounds=["compcor"]))
    assert sorted(found.names) == [f"a_comp_cor_{n:02d}" for n in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)]
    assert "cosine00" in read_confounds(source, FRAMES, settings(confounds=["compcor", "high_pass"])).names


def test_columns_of_mcflirt_are_motion(make_source):
    motion = make_motion()
    table = pd.DataFrame(motion, columns=list(MCFLIRT)).sort_index(axis=1)
    found = read_confounds(make_source(table=table), FRAMES, settings(confounds=["motion"], motion="basic"))
    assert found.names == MOTION
    np.testing.assert_allclose(found.values, motion, atol=1e-12)
    np.testing.assert_allclose(found.displacement, framewise_displacement(motion), atol=1e-9)


def test_displacement_by_hand():
    motion = np.zeros((3, 6))
    motion[1:, 0], motion[2, 5] = 0.3, 0.01  # mm, rad
    np.testing.assert_allclose(framewise_displacement(motion), [0, 0.3, 0.5])


def test_volumes_that_moved_or_are_not_steady_do_not_stay(make_source, confound_table):
    confound_table.loc[[20, 41], "framewise_displacement"] = 0.9
    confound_table["non_steady_state_outlier00"] = [1] + [0] * (FRAMES - 1)
    confound_table["non_steady_state_outlier01"] = [0, 1] + [0] * (FRAMES - 2)
    source = make_source(table=confound_table)
    assert np.flatnonzero(~read_confounds(source, FRAMES, settings(scrub_mm=0.5)).kept).tolist() == [0, 1, 20, 41]
    assert np.flatnonzero(~read_confounds(source, FRAMES, SETTINGS).kept).tolist() == [0, 1]


def test_cosines_are_made_where_the_table_has_none(make_source, confound_table):
    for source in (make_source(), make_source(table=confound_table)):
        found = read_confounds(source, FRAMES, settings(confounds=["high_pass"]))
        # A run of N volumes holds floor(2 N TR f) cosines below f (Friston et al. 1995).
        assert found.values.shape == (FRAMES, int(2 * FRAMES * INTERVAL * 0.01))
        assert np.abs(found.values.mean(0)).max() < 1e-12
    with pytest.raises(UserError, match=r"bold\.high_pass is empty"):
        read_confounds(make_source(), FRAMES, settings(confounds=["high_pass"], high_pass=None))


def test_no_confounds_at_all(make_source):
    found = read_confounds(make_source(), FRAMES, settings(confounds=[]))
    assert found.values.shape == (FRAMES, 0) and found.displacement is None and found.kept.all()


@pytest.mark.parametrize(
    ("change", "table", "words"),
    [
        ({}, None, "has no table of confounds.*bold.confounds has motion, wm_csf.*bold.spatial"),
        ({"confounds": [], "scrub_mm": 0.5}, None, "bold.scrub_mm is set"),
        ({"confounds": ["motion", "global_signal"]}, ["csf"], "has .motion., but the table has no trans_x"),
        ({"confounds": ["wm_csf"]}, ["csf"], "has no white_matter.*remove wm_csf.*has csf"),
        ({"confounds": ["compcor"]}, ["csf"], "no compcor"),
        ({"confounds": ["ica_aroma"]}, ["csf"], "no ica_aroma"),
        ({"confounds": [], "scrub_mm": 0.5}, ["csf"], "needs motion parameters"),
    ],
)
def test_what_is_missing_is_named(make_source, confound_table, change, table, words):
    source = make_source(table=None if table is None else confound_table[table])
    with pytest.raises(ScanError, match=words):
        read_confounds(source, FRAMES, settings(**change))


def test_a_table_of_another_length_and_too_many_confounds(make_source, confound_table):
    with pytest.raises(ScanError, match="59 rows for 60 volumes"):
        read_confounds(make_source(table=confound_table.iloc[1:]), FRAMES, SETTINGS)
    with pytest.raises(ScanError, match="too few to regress out 26 confounds"):
        read_confounds(make_source(table=confound_table), FRAMES, settings(scrub_mm=0.09))


def test_nilearns_refusal_is_one_line(make_source, confound_table):
    source = make_source(table=confound_table, name="sub-9_task-rest_desc-preproc", preprocessed=True)
    with pytest.raises(ScanError, match=r"choose other bold\.confounds"):
        read_confounds(source, FRAMES, SETTINGS)
