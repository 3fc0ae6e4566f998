"""A study without a search: its networks go straight to the finals, and the report compares them."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from running import dry_run, snakemake, write_study

BLOCKS = ["block-plain", "block-shift", "block-ghost"]


def comparison(folder: Path, **changes: object) -> Path:
    settings = {
        "search__methods": [],
        "baselines": {"names": BLOCKS, "steps": 0},
        "training__validations": 3,
        **changes,
    }
    return write_study(folder, **settings)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Working folder of a finished and published comparison at equal CPU time."""
    folder = tmp_path_factory.mktemp("comparison")
    study = comparison(folder, training__budget={"amount": 10.0, "unit": "cpu_seconds"}, paper=["tiny"])
    snakemake(folder, "--configfile", str(study), "--cores", "2", "all", "paper")
    return folder


def test_every_network_has_its_cost_and_its_scores(compared: Path) -> None:
    root = compared / "results" / "tiny"
    assert not (root / "search").exists()
    finalists = json.loads((root / "finalists.json").read_text())
    assert [n["name"] for n in finalists["networks"]] == BLOCKS and finalists["searches"] == {}
    timed = [row["name"] for row in json.loads((root / "calibration.json").read_text())["table"].values()]
    assert set(BLOCKS) <= set(timed)
    table = pd.read_csv(root / "figures" / "efficiency.tsv", sep="\t").set_index("name")
    assert list(table.index) == BLOCKS
    known = ["parameters", "macs", "latency_ms", "train_ms_per_sample", "whole_ms_per_sample", "test_score", "samples"]
    assert table[known].gt(0).all().all()
    assert table.loc["block-shift", "macs"] < table.loc["block-plain", "macs"]
    assert table.equal_samples.eq(table.samples.min()).all()
    assert table.score_equal_time.notna().all()
    differences = pd.read_csv(root / "comparisons.tsv", sep="\t").query("comparison == 'reference'")
    assert list(differences["first"]) == BLOCKS[1:] and set(differences.second) == {"block-plain"}
    assert table.difference.notna().tolist() == [False, True, True]


def test_the_page_speaks_of_networks_and_not_of_a_search(compared: Path) -> None:
    page = (compared / "results" / "tiny" / "report.html").read_text()
    assert "Comparison of networks" in page and 'id="figure-efficiency"' in page and 'id="figure-equal_cost"' in page
    assert 'href="#search"' not in page and "searched" not in page
    published = compared / "results" / "published" / "tiny"
    tables = {p.name for p in published.iterdir() if not p.name.startswith(".")}
    assert tables == {"leaderboard.tsv", "comparisons.tsv", "figures", "provenance.json"}
    assert (published / "figures" / "efficiency.svg").exists()


def test_another_block_trains_alone_at_equal_samples(tmp_path: Path, compared: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(compared, folder, symlinks=True)
    budget = {"amount": 12, "unit": "samples"}
    snakemake(folder, "--configfile", str(comparison(folder, training__budget=budget)), "--cores", "2")

    def trained() -> dict[Path, int]:
        """Every training of the store and when it ended: a job that finds its result there leaves it alone."""
        return {p: p.stat().st_mtime_ns for p in folder.glob("results/tiny/store/*/outcome.json")}

    before = trained()
    more = comparison(folder, training__budget=budget, baselines={"names": [*BLOCKS, "block-fire"], "steps": 0})
    snakemake(folder, "--configfile", str(more), "--cores", "2", "--until", "train")
    after = trained()
    assert len(after) == len(before) + 2 and before.items() <= after.items()
    assert len(list(folder.glob("results/tiny/networks/*/seed-*/result.json"))) == 8


def test_there_is_nothing_to_search_and_the_networks_wait_for_the_plan_of_the_data(tmp_path: Path) -> None:
    for stage in ("search", "preprocess"):
        plan, _ = dry_run(tmp_path, comparison(tmp_path), "--until", stage)
        assert plan["preprocess"] == 2 and {"step", "propose", "select"}.isdisjoint(plan)
    plan, _ = dry_run(tmp_path, comparison(tmp_path), "--until", "train")
    assert plan["select"] == 1 and plan["plan"] == 1 and "calibrate" not in plan
