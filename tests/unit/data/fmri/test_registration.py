import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from voxnas.data.fmri.registration import SHARE, _method
from voxnas.data.fmri.volumes import Volume, to_itk


def test_two_registrations_are_equal():
    array = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(24, 26, 22)), 2.0).astype(np.float32)
    fixed, moving = (to_itk(Volume(a, np.eye(4))) for a in (array, np.roll(array, 1, 0)))
    around = to_itk(Volume(np.ones(array.shape, np.uint8), np.eye(4)))

    def register():
        method = _method(around, SHARE)
        method.SetOptimizerAsRegularStepGradientDescent(0.5, 0.01, 30)
        method.SetInitialTransform(sitk.TranslationTransform(3), inPlace=True)
        return method.Execute(fixed, moving).GetParameters()

    assert register() == pytest.approx(register(), abs=1e-6)  # up to rounding, which depends on the place in memory
