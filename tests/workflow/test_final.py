"""The winner trained again on all scans outside the test split, alone and with teachers, and pruned."""

import json
from pathlib import Path

import pandas as pd
from running import dry_run, snakemake, write_study


def names(study: Path) -> list[str]:
    return pd.read_csv(study / "leaderboard.tsv", sep="\t").name.tolist()


def test_the_winner_is_refitted_taught_and_pruned_after_its_choice(study_copy: Path) -> None:
    folder = study_copy / "results" / "tiny"
    before = names(folder)
    changes: dict[str, object] = {
        "final": {"refit": True, "teacher": "ensemble"},
        "compression__steps": ["prune"],
        "compression__prune__levels": [0.5],
    }
    file = write_study(study_copy, **changes)
    snakemake(study_copy, "--configfile", str(file), "--cores", "2")
    derived = json.loads((folder / "derived.json").read_text())["networks"]
    assert [network["source"] for network in derived] == ["refit", "student"]
    pruned = json.loads((folder / "pruned.json").read_text())["networks"]
    assert [network["source"] for network in pruned] == ["pruned", "scratch"]
    added = {name for network in derived + pruned for name in (network["name"], f"{network['name']} (ensemble)")}
    assert set(names(folder)) == {*before, *added}
    for network in derived:
        for seed in (0, 1):
            result = json.loads((folder / "networks" / network["key"] / f"seed-{seed}" / "result.json").read_text())
            assert (result["state"], result["score"]) == ("DONE", None)
    board = pd.read_csv(folder / "leaderboard.tsv", sep="\t", index_col="name")
    winner, narrow, control = (board.loc[n] for n in (board.index[board.winner][0], *(n["name"] for n in pruned)))
    assert narrow.parameters == control.parameters <= 0.5 * winner.parameters
    assert narrow.train_samples == 1.5 * winner.train_samples  # with the trainings of the winner
    pairs = pd.read_csv(folder / "comparisons.tsv", sep="\t")
    assert ["compression", *(n["name"] for n in pruned)] in pairs[["comparison", "first", "second"]].values.tolist()
    model = json.loads((folder / "model" / "model.json").read_text())
    assert model["key"] == derived[1]["key"] and model["derivation"]["refit"]
    card = (folder / "model" / "README.md").read_text()
    assert "trained on all 9 scans outside the test split, with soft targets" in card
    assert dry_run(study_copy, file)[0] == {}
    # Another level repeats the pruning alone; which trainings follow is known after it.
    changes["compression__prune__levels"] = [0.5, 0.25]
    plan, _ = dry_run(study_copy, write_study(study_copy, **changes))
    assert plan["prune"] == 1 and {"train", "step", "evaluate", "derive", "select"}.isdisjoint(plan)
    # Without the setting the study is as before, and nothing is trained.
    plan, _ = dry_run(study_copy, write_study(study_copy))
    assert "benchmark" in plan and {"train", "step", "evaluate"}.isdisjoint(plan)
