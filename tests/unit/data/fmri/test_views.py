import numpy as np

from voxnas.data.fmri.views import correlations, maps


def test_correlations_are_pearsons_in_fishers_z():
    series = np.random.default_rng(0).normal(size=(80, 5))
    series[:, 1] += series[:, 0]
    found = correlations(series)
    expected = np.arctanh(np.corrcoef(series.T) - np.eye(5))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32 and (found == found.T).all()


def test_a_constant_region_is_not_connected_and_equal_ones_are_finite():
    series = np.random.default_rng(0).normal(size=(50, 4))
    series[:, 1], series[:, 3] = 3.0, series[:, 0]
    found = correlations(series)
    assert (found[1] == 0).all() and (np.diag(found) == 0).all()
    assert np.isfinite(found).all() and found[0, 3] > 5


def test_maps_are_standardised_over_the_brain():
    rng = np.random.default_rng(0)
    mask = rng.random((3, 4, 5)) > 0.4
    found = maps(rng.normal(900, 50, mask.sum()), np.full(mask.sum(), 2.0), mask)
    assert found.shape == (2, 3, 4, 5) and (found[:, ~mask] == 0).all()
    np.testing.assert_allclose([found[0][mask].mean(), found[0][mask].std()], [0, 1], atol=1e-5)
    assert (found[1] == 0).all()  # the same everywhere
