"""The chance level of a classification and the test against it."""

import numpy as np
import pandas as pd

from voxnas.benchmark import results
from voxnas.benchmark.chance import with_chance
from voxnas.benchmark.leaderboard import benchmark
from voxnas.io.tables import write_table
from voxnas.report.sentence import against_chance


def test_a_segmentation_has_no_chance_level(fake_segmentation):
    board, _ = benchmark(fake_segmentation)
    assert with_chance(fake_segmentation, board) is board


def test_perfect_predictions_differ_from_chance_and_constant_ones_do_not(new_fake_study, tmp_path):
    paths = new_fake_study(tmp_path / "fake", "classification")
    networks, scans = results.networks(paths), [f"s{i:02d}" for i in range(12)]
    for network, sure in zip(networks, (1.0, 0.5, 0.5), strict=True):
        target = np.array(["atrophy", "control"] * 6)
        p = np.where(target == "atrophy", sure, 1 - sure)
        table = pd.DataFrame(
            {
                "key": network.key, "scan": scans, "participant": scans, "unit": scans, "target": target,
                "predicted": np.where(p >= 0.5, "atrophy", "control"), "probability_atrophy": p,
                "probability_control": 1 - p,
            }
        )  # fmt: skip
        seeds = [table.assign(seed=seed) for seed in ("0", "1", "ensemble")]
        write_table(paths.cases(network.key), pd.concat(seeds))
    board = with_chance(paths, pd.DataFrame({"key": [n.key for n in networks]}))
    assert board.chance.eq(0.5).all()
    assert board.chance_p[0] < 0.02 and board.chance_p[1] == 1.0
    assert against_chance(board.iloc[0], 3).startswith("; chance level 0.500, p = 0.0")
    assert against_chance(board.iloc[0].drop("chance_p"), 3) == ""
