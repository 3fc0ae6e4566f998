"""The raster of kirigami designs."""

import numpy as np
from kirigami import PIXELS, WIDTH, rasterise


def test_a_cut_is_drawn_in_its_row_with_its_length_and_ends_at_the_edge():
    pixel = WIDTH / PIXELS
    positions = np.array([[16 * pixel, 0.0, 0.0, WIDTH], [0.0] * 4])
    lengths = np.array([[8 * pixel, 0.0, 4 * pixel, 6 * pixel], [0.0] * 4])
    images = rasterise(positions, lengths)
    assert images.shape == (2, 20, 32) and images.dtype == np.uint8 and set(np.unique(images)) == {0, 255}
    cut = images[0] == 0
    assert np.flatnonzero(cut.any(1)).tolist() == [2, 12, 17]
    assert np.flatnonzero(cut[2]).tolist() == list(range(12, 20))
    assert np.flatnonzero(cut[12]).tolist() == [0, 1] and np.flatnonzero(cut[17]).tolist() == [29, 30, 31]
    assert (images[1] == 255).all()
