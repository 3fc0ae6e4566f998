import numpy as np
import pytest

from voxnas.core.settings import QualitySettings
from voxnas.data.fmri.confounds import Confounds
from voxnas.data.fmri.quality import COLUMNS, Meter, mask_overlap, mosaic, reason_to_exclude, summarize
from voxnas.data.fmri.source import Series, brain_mask

from .conftest import FRAMES, INTERVAL, make_bold

LIMITS = QualitySettings()


def measure(bold, brain):
    meter = Meter(bold.shape[3], brain)
    for volume in np.moveaxis(bold, -1, 0):
        meter.add(volume)
    return meter.finish()


def test_measures_are_those_of_the_whole_series():
    bold, brain = make_bold()
    found = measure(bold, brain)
    inside = bold[brain].astype(float)
    times = np.arange(FRAMES)
    rest = inside - np.stack([np.polyval(np.polyfit(times, v, 1), times) for v in inside])
    assert found.tsnr == pytest.approx(np.median(inside.mean(1) / rest.std(1, ddof=2)), rel=1e-6)
    change = np.sqrt((np.diff(inside, axis=1) ** 2).mean(0))
    np.testing.assert_allclose(found.dvars[1:], 100 * change / inside.mean(), rtol=1e-6)
    assert found.dvars[0] == 0
    np.testing.assert_allclose(found.signal, inside.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.mean, bold.mean(-1), rtol=1e-5)
    assert found.carpet.shape == (int(brain.sum()), FRAMES) and set(found.carpet[:, 3]) <= set(bold[brain][:, 3])


def row(bold, brain, fd=None, overlap=None, source=None, kept=None):
    kept = np.ones(FRAMES, bool) if kept is None else kept
    return summarize(measure(bold, brain), Confounds((), np.zeros((FRAMES, 0)), kept, fd), source, overlap, 100.0)


def test_planted_faults_show(make_source):
    source = make_source()
    bold, brain = make_bold()
    good = row(bold, brain, np.full(FRAMES, 0.1), 0.9, source)
    assert list(good) == COLUMNS and good["seconds"] == FRAMES * INTERVAL
    assert reason_to_exclude(good, LIMITS, 8) == ""
    assert abs(good["start_excess"]) < 2

    unsteady = bold.copy()
    unsteady[..., 0] *= 1.2
    assert row(unsteady, brain, None, None, source)["start_excess"] > 15
    spike = bold.copy()
    spike[..., 30] = np.roll(spike[..., 30], 1, axis=0)
    assert row(spike, brain, None, None, source)["max_dvars"] > 5 * good["max_dvars"]
    noisy, _ = make_bold(noise=80)
    assert row(noisy, brain, None, None, source)["tsnr"] < good["tsnr"] / 5
    frozen = np.repeat(bold[..., :1], FRAMES, axis=-1)
    still = row(frozen, brain, None, None, source)
    assert still["mean_dvars"] == 0 and still["tsnr"] == 0


@pytest.mark.parametrize(
    ("change", "limits", "words"),
    [
        ({"mean_fd_mm": 0.7}, {}, "mean framewise displacement 0.7 mm, at most 0.5"),
        ({"mean_fd_mm": 0.7}, {"mean_fd_mm": None}, ""),
        ({"mean_fd_mm": None, "mask_overlap": None}, {}, ""),
        ({"mean_dvars": 2.5}, {"mean_dvars": 2.0}, "mean DVARS 2.5 %, at most 2"),
        ({"tsnr": 12.0}, {"tsnr": 20.0}, "temporal signal-to-noise ratio 12, at least 20"),
        ({"mask_overlap": 0.5}, {}, "overlap with the template's mask 0.5, at least 0.7"),
        ({"seconds": 20.0, "kept": 10}, {}, "20 s are left, at least 30"),
        ({"kept": 7}, {}, "7 volumes are left, a clip spans 8"),
    ],
)
def test_reasons(make_source, change, limits, words):
    good = row(*make_bold(), np.full(FRAMES, 0.1), 0.9, make_source())
    assert reason_to_exclude({**good, **change}, QualitySettings(**limits), 8) == words


def test_overlap_with_the_template():
    import nibabel as nib
    from nilearn.datasets import load_mni152_brain_mask

    template = load_mni152_brain_mask(resolution=4)

    class Grid:
        shape, affine = template.shape, template.affine

        def grid(self):
            return nib.Nifti1Image(np.zeros(self.shape, np.uint8), self.affine)

    brain = np.asarray(template.dataobj) > 0
    assert mask_overlap(brain, Grid(), "MNI152NLin2009cAsym") > 0.97
    assert mask_overlap(np.roll(brain, 12, axis=1), Grid(), "MNI152NLin6Asym") < 0.75
    assert mask_overlap(brain, Grid(), "T1w") is None


def test_mosaic_has_the_slices_with_brain():
    volume = np.zeros((4, 5, 30))
    volume[1, 2, 10:20] = 1
    assert mosaic(volume).shape == (8, 5, 4) and (mosaic(volume)[:, 2, 1] == 1).all()
    assert mosaic(np.ones((4, 5, 1))).shape == (1, 5, 4)


def test_a_mask_that_is_made_is_the_brain(make_source):
    bold, brain = make_bold()
    source = make_source(bold=bold, mask=False)
    series = Series(source.bold)
    np.testing.assert_array_equal(brain_mask(series, None), brain[::-1])
