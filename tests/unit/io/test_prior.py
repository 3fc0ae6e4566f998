"""Reading the trials of earlier studies as points of a space."""

import numpy as np
import pandas as pd
import pytest
from plans import space_file

from voxnas.arch.search_space import SearchSpace
from voxnas.core.errors import UserError
from voxnas.io.prior import read_prior
from voxnas.io.tables import write_table

SPACE = SearchSpace.from_dict(space_file("unet"))


@pytest.fixture
def trials(tmp_path):
    """Function: write a table of trials of random configurations with given (trial, rung, score)."""

    def write(name, *rows):
        rng = np.random.default_rng(0)
        configs = [SPACE.sample(rng) for _ in rows]
        columns = [{"trial": t, "rung": r, "score": s, "state": "DONE"} for t, r, s in rows]
        write_table(tmp_path / name, pd.DataFrame([a | b for a, b in zip(columns, configs, strict=True)], dtype=object))
        return configs

    return write


def test_latest_scores_of_trials_that_succeeded_with_their_values(trials, tmp_path):
    configs = trials("trials-random.tsv", ("a", 0, 0.5), ("b", 0, None), ("c", 1, 0.7), ("c", 0, 0.6))
    trials("trials-baseline-unet.tsv", ("x", 0, 0.9))
    for source in (tmp_path, tmp_path / "trials-random.tsv"):
        (table,) = read_prior([str(source)], SPACE)
        assert [t.score for t in table] == [0.5, 0.7]
        assert [t.config for t in table] == [configs[0], configs[2]]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.drop(columns="score"), "no column 'score'"),
        (lambda t: t.drop(columns=SPACE.varying[0].name), "is missing"),
        (lambda t: t.assign(score=None), "none has a score"),
        (lambda t: t.assign(score="high"), "'high' is not a number"),
        (lambda t: t.assign(rung="low"), "'low' is not a number"),
    ],
)
def test_a_table_that_gives_no_trial_is_refused_with_the_reason(trials, tmp_path, edit, message):
    trials("trials.tsv", ("a", 0, 0.5))
    write_table(tmp_path / "trials.tsv", edit(pd.read_csv(tmp_path / "trials.tsv", sep="\t")))
    with pytest.raises(UserError, match=message):
        read_prior([str(tmp_path / "trials.tsv")], SPACE)


def test_a_folder_without_tables_or_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no tables"):
        read_prior([str(tmp_path)], SPACE)
    with pytest.raises(UserError, match="does not exist"):
        read_prior([str(tmp_path / "trials.tsv")], SPACE)
