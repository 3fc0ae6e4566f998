"""The winner trained again on all scans outside the test split, alone and with teachers."""

import json
from pathlib import Path

import pandas as pd
from running import dry_run, snakemake, write_study


def names(study: Path) -> list[str]:
    return pd.read_csv(study / "leaderboard.tsv", sep="\t").name.tolist()


def test_the_winner_is_refitted_and_taught_after_its_choice(study_copy: Path) -> None:
    folder = study_copy / "results" / "tiny"
    before = names(folder)
    file = write_study(study_copy, final={"refit": True, "teacher": "ensemble"})
    snakemake(study_copy, "--configfile", str(file), "--cores", "2")
    derived = json.loads((folder / "derived.json").read_text())["networks"]
    assert [network["source"] for network in derived] == ["refit", "student"]
    added = {name for network in derived for name in (network["name"], f"{network['name']} (ensemble)")}
    assert set(names(folder)) == {*before, *added}
    for network in derived:
        for seed in (0, 1):
            result = json.loads((folder / "networks" / network["key"] / f"seed-{seed}" / "result.json").read_text())
            assert (result["state"], result["score"]) == ("DONE", None)
    model = json.loads((folder / "model" / "model.json").read_text())
    assert model["key"] == derived[1]["key"] and model["derivation"]["refit"]
    card = (folder / "model" / "README.md").read_text()
    assert "trained on all 9 scans outside the test split, with soft targets" in card
    assert dry_run(study_copy, file)[0] == {}
    # Without the setting the study is as before, and nothing is trained.
    plan, _ = dry_run(study_copy, write_study(study_copy))
    assert "benchmark" in plan and {"train", "step", "evaluate"}.isdisjoint(plan)
