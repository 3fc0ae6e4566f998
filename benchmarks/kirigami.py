"""Raster of kirigami designs, so that networks in two dimensions predict properties of a membrane from its picture.

    python benchmarks/kirigami.py kirigami.csv.gz --output kirigami.npz
    voxnas run config/studies/kirigami.yaml --config data_root=FOLDER   # the folder of the archive

A design is a membrane of MoS2 with four rows, each with one cut (molecular dynamics of Rajak et al. 2021, npj
Computational Materials, after Hanakata et al. 2018, PRL). The table has, for each cut, the position of its centre and
its length in Angstrom along the width of the membrane; a length of 0 is no cut. A pixel of the raster is 6.3 Angstrom
along the width; a row has five pixels, of which the middle one is cut. A cut beyond the membrane ends at its edge.

Writes an archive of planes: ``designs_images`` (N, 20, 32), uint8 with the values 0 and 255, and an array
``designs_<column>`` (N,) for each property.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROWS, PIXELS_OF_ROW, PIXELS = 4, 5, 32
WIDTH = 202.347  # of the membrane in Angstrom
PROPERTIES = ("failure_strain_pct", "max_stress_GPa")


def rasterise(positions: NDArray, lengths: NDArray) -> NDArray[np.uint8]:
    """Draw designs.

    Parameters
    ----------
    positions, lengths : ndarray, (N, 4)
        Centre and length of the cut of each row, in Angstrom.

    Returns
    -------
    ndarray of uint8, (N, 20, 32)
        255 for material, 0 for a cut.
    """
    centres = (np.arange(PIXELS) + 0.5) * WIDTH / PIXELS
    is_cut = np.abs(centres - positions[..., None]) < lengths[..., None] / 2  # (N, 4, 32)
    images = np.full((len(positions), ROWS * PIXELS_OF_ROW, PIXELS), 255, np.uint8)
    images[:, PIXELS_OF_ROW // 2 :: PIXELS_OF_ROW][is_cut] = 0
    return images


def main() -> None:
    """Read the table and write the archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="table with cut_pos_1, cut_len_1 .. and the properties")
    parser.add_argument("--output", type=Path, required=True, help="archive to write")
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.table)
    positions, lengths = (
        table[[f"cut_{name}_{row}" for row in range(1, ROWS + 1)]].to_numpy(float) for name in ("pos", "len")
    )
    arrays = {f"designs_{name}": table[name].to_numpy(np.float32) for name in PROPERTIES}
    np.savez_compressed(arguments.output, designs_images=rasterise(positions, lengths), **arrays)
    print(f"{arguments.output}: {len(table)} designs")


if __name__ == "__main__":
    main()
