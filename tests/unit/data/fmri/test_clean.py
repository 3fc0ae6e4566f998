import numpy as np
import pytest
from nilearn.signal import clean

from voxnas.core.settings import CleaningSettings
from voxnas.data.fmri.clean import clean_block
from voxnas.data.fmri.confounds import Confounds

FRAMES, INTERVAL = 100, 2.0
SETTINGS = CleaningSettings(confounds=["motion"], high_pass=None)


@pytest.fixture
def block():
    rng = np.random.default_rng(0)
    times = np.arange(FRAMES)[:, None]
    return 500 + 0.3 * times + 8 * rng.normal(size=(FRAMES, 12)) + 20 * np.sin(2 * np.pi * 0.15 * times * INTERVAL)


@pytest.fixture
def confounds():
    values = np.random.default_rng(1).normal(size=(FRAMES, 4))
    return Confounds(tuple("abcd"), values, np.ones(FRAMES, bool), None)


def settings(**changed):
    return CleaningSettings(**{**dict(SETTINGS), **changed})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "band", [(None, None), (0.01, None), (None, 0.1), (0.01, 0.1)], ids=["all", "high", "low", "band"]
)
def test_it_is_nilearns_cleaning(block, confounds, band):
    mine = clean_block(block, confounds, settings(high_pass=band[0], low_pass=band[1]), INTERVAL)
    options = {"high_pass": band[0], "low_pass": band[1], "t_r": INTERVAL, "confounds": confounds.values.copy()}
    theirs = clean(block.copy(), standardize="zscore_sample", **options)
    np.testing.assert_allclose(mine.series, theirs, atol=2e-5)
    np.testing.assert_allclose(mine.mean, block.mean(0))


@pytest.mark.filterwarnings("ignore")
def test_without_a_filter_scrubbed_volumes_are_left_out_as_by_nilearn(block, confounds):
    kept = np.ones(FRAMES, bool)
    kept[[0, 1, 30, 70, 71]] = False
    mine = clean_block(block, Confounds((), confounds.values, kept, None), SETTINGS, INTERVAL)
    options = {"sample_mask": np.flatnonzero(kept), "confounds": confounds.values}
    theirs = clean(block, standardize="zscore_sample", **options)
    np.testing.assert_allclose(mine.series, theirs, atol=2e-5)


@pytest.mark.parametrize("band", [(None, None), (0.01, 0.1)], ids=["all", "band"])
def test_nothing_of_a_scrubbed_volume_stays(block, confounds, band):
    kept = np.ones(FRAMES, bool)
    kept[[0, 1, 40, 41, 99]] = False
    spiked = block.copy()
    spiked[~kept] += 5000
    parts = Confounds((), confounds.values, kept, None)
    a, b = (clean_block(x, parts, settings(high_pass=band[0], low_pass=band[1]), INTERVAL) for x in (block, spiked))
    assert a.series.shape == (95, 12)
    np.testing.assert_allclose(a.series, b.series, atol=1e-6)
    np.testing.assert_allclose(a.mean, b.mean)


def test_a_slow_signal_survives_scrubbing_and_filtering(confounds):
    times = np.arange(FRAMES) * INTERVAL
    slow = np.sin(2 * np.pi * 0.03 * times)
    kept = np.ones(FRAMES, bool)
    kept[[0, 1, 40, 41, 99]] = False
    spiked = 500 + 10 * slow[:, None]
    spiked[~kept] += 5000
    found = clean_block(
        spiked, Confounds((), np.zeros((FRAMES, 0)), kept, None), settings(high_pass=0.01, low_pass=0.1), INTERVAL
    )
    assert np.corrcoef(found.series[5:-5, 0], slow[kept][5:-5])[0, 1] > 0.98


def test_blocks_give_what_the_whole_gives(block, confounds):
    whole = clean_block(block, confounds, settings(high_pass=0.01), INTERVAL)
    parts = [
        clean_block(block[:, part], confounds, settings(high_pass=0.01), INTERVAL)
        for part in np.split(np.arange(12), 4)
    ]
    np.testing.assert_allclose(np.concatenate([p.series for p in parts], axis=1), whole.series, atol=1e-6)


def test_nothing_of_the_confounds_and_of_a_trend_stays(block, confounds):
    mixed = block + 30 * confounds.values @ np.random.default_rng(2).normal(size=(4, 12))
    series = clean_block(mixed, confounds, SETTINGS, INTERVAL).series
    assert np.abs(confounds.values.T @ (series - series.mean(0))).max() < 25  # of 100 volumes: |r| < 0.25 by the trend
    left = np.linalg.lstsq(np.c_[np.arange(FRAMES), np.ones(FRAMES)], series, rcond=None)[0][0]
    assert np.abs(left).max() < 5e-3


def test_a_low_pass_takes_the_fast_part_out(block, confounds):
    power = [
        np.abs(np.fft.rfft(clean_block(block, confounds, settings(low_pass=low), INTERVAL).series, axis=0)) ** 2
        for low in (None, 0.1)
    ]
    fast = np.fft.rfftfreq(FRAMES, INTERVAL) > 0.14
    shares = [p[fast].sum() / p.sum() for p in power]
    assert shares[0] > 0.5 and shares[1] < 0.1


@pytest.mark.parametrize("method", ["zscore", "percent", "none"])
def test_standardisation(block, confounds, method):
    block[:, 0] = 700  # constant
    cleaned = clean_block(block, confounds, settings(standardize=method), INTERVAL)
    rest, first = cleaned.series[:, 1:], cleaned.series[:, 0]
    assert (first == (700 if method == "none" else 0)).all()
    mean = cleaned.mean[1:] if method == "none" else 0
    scale = {"zscore": 1, "percent": 100 * cleaned.deviation[1:] / cleaned.mean[1:], "none": cleaned.deviation[1:]}[
        method
    ]
    np.testing.assert_allclose(rest.mean(0), mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(rest.std(0, ddof=1), scale, rtol=1e-4)


def test_cosines_leave_the_high_pass_to_the_regression(block, confounds):
    named = settings(confounds=["motion", "high_pass"], high_pass=0.05)
    np.testing.assert_array_equal(
        clean_block(block, confounds, named, INTERVAL).series, clean_block(block, confounds, SETTINGS, INTERVAL).series
    )


def test_without_confounds(block):
    none = Confounds((), np.zeros((FRAMES, 0)), np.ones(FRAMES, bool), None)
    assert clean_block(block, none, settings(confounds=[]), INTERVAL).series.std(0, ddof=1) == pytest.approx(
        1, abs=1e-4
    )
