import pandas as pd
import pytest
from formula_study import options

from voxnas.io.tables import read_table, write_table
from voxnas.search.chain import read_chain
from voxnas.search.propose import Search
from voxnas.search.summary import COLUMNS, front_table, trials_table


def test_one_row_a_step_with_every_parameter(study, tmp_path):
    s = study("random", window=1)
    s.run("random", 5, failed={1, 3})
    chain = read_chain(s.paths, "random", 5, 5)
    table = trials_table(chain)
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    assert table.columns[-1] == "reason"
    assert table["state"].tolist() == ["DONE", "FAILED", "DONE", "FAILED", "DONE"]
    scores = [r.score for r in chain.results]
    best = [scores[0], scores[0], max(scores[0], scores[2]), max(scores[0], scores[2])]
    assert table["best_so_far"].tolist()[:4] == best
    for row, proposal in zip(table.to_dict("records"), chain.proposals, strict=True):
        for name, value in proposal.config.items():
            assert row[name] == value
    write_table(tmp_path / "trials.tsv", table)
    again = read_table(tmp_path / "trials.tsv", {"step": int, "score": float, "macs": "Int64", "best_so_far": float})
    assert again["score"].isna().tolist() == [False, True, False, True, False]
    assert again["reason"].dropna().tolist() == ["diverged", "diverged"]
    assert again["macs"].iloc[0] == chain.results[0].macs


def test_promoted_trials_pay_once_and_the_best_is_the_one_that_would_be_selected(study):
    s = study("random", window=1, **options(rungs=2, factor=2))
    for step, score in enumerate((0.5, 0.8, 0.7, 0.6)):
        s.propose("random", step)
        s.train("random", step, score=score)
    chain = read_chain(s.paths, "random", 4, 4)
    table = trials_table(chain)
    assert table["trial"].tolist() == ["random-0", "random-1", "random-1", "random-3"]
    assert table["rung"].tolist() == [0, 0, 1, 0]
    assert table["samples"].tolist() == [240, 240, 480, 240]
    assert table["added_samples"].tolist() == [240, 240, 240, 240]
    assert table["cpu_seconds"].tolist() == [1.5, 1.5, 1.5, 1.5]
    assert table["best_so_far"].tolist() == [0.5, 0.8, 0.7, 0.7]
    # The promoted training fails without a word of what it has seen: the short one's best counts again.
    s.train("random", 2, "FAILED")
    table = trials_table(read_chain(s.paths, "random", 4, 4))
    assert table["added_samples"].tolist() == [240, 240, 0, 240]
    assert table["best_so_far"].tolist() == [0.5, 0.8, 0.5, 0.6]


def test_several_objectives_add_their_costs_and_the_front(study):
    s = study("random", window=1, objectives=["score", "parameters"])
    s.run("random", 5, failed={1})
    chain, search = read_chain(s.paths, "random", 5, 5), Search.read(s.paths, "random")
    table = trials_table(chain, search)
    scored = table[table.score.notna()]
    for row in scored.itertuples():
        no_worse = scored[(scored.score >= row.score) & (scored.parameters <= row.parameters)]
        assert row.front == (no_worse.key == row.key).all()
    assert not table.front[1] and table.front.any()
    assert "front" not in trials_table(chain)
    front = front_table(table, search.objectives)
    assert set(front.step) == set(table.step[table.front]) and front.score.iloc[0] == scored.score.max()
    assert front.hypervolume.is_monotonic_increasing and front.hypervolume.iloc[-1] == 1
    alone = front_table(table, ("score",))
    assert alone.step.tolist() == [scored.step[scored.score.idxmax()]] and alone.hypervolume.tolist() == [1]


@pytest.mark.parametrize("failed", [set(), {0, 1, 2}])
def test_a_trial_that_failed_on_a_higher_rung_is_not_on_the_front(study, failed):
    s = study("random", window=1, objectives=["score", "parameters"], **options(rungs=2, factor=2))
    s.run("random", 3)
    s.propose("random", 3)
    s.train("random", 3, "FAILED")
    promoted = s.records("random", 4)[-1].trial
    for step in failed:
        s.train("random", step, "FAILED")
    chain, search = read_chain(s.paths, "random", 4, 4), Search.read(s.paths, "random")
    front = front_table(trials_table(chain, search), search.objectives)
    assert promoted not in front.trial.tolist() and front.empty == bool(failed)


def test_whole_numbers_stay_whole_beside_missing_ones(study, tmp_path):
    s = study("random", window=1)
    s.run("random", 6)
    write_table(tmp_path / "trials.tsv", trials_table(read_chain(s.paths, "random", 6, 6)))
    text = (tmp_path / "trials.tsv").read_text()
    widths = [line.split("\t") for line in text.splitlines()]
    for name in ("base_width", "expansion", "parameters", "samples"):
        at = widths[0].index(name)
        assert all("." not in row[at] for row in widths[1:])


def test_idle_steps_and_an_empty_search(study):
    s = study("random", limits={"parameters": 10})
    s.run("random", 2)
    table = trials_table(read_chain(s.paths, "random", 2, 2))
    assert table["state"].tolist() == ["SKIPPED", "SKIPPED"]
    assert pd.isna(table["key"]).all()
    assert trials_table(read_chain(s.paths, "random", 0, 0)).empty
