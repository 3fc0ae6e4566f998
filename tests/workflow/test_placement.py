"""Placement in the real workflow: a resource of a job that is ready, and nothing that runs a job again."""

import json
from pathlib import Path

from plans import calibration
from running import dry_run, snakemake, write_study

from voxnas.complexity.features import FEATURES
from voxnas.io.records import write_json

PLACEMENT = {
    "cpu": {"slots": 2, "resources": {"slurm_partition": "long", "gres": "none"}},
    "gpu": {"slots": 1, "resources": {"slurm_partition": "fast", "gres": "gpu:1"}},
}


def measured(folder: Path) -> None:
    """Two kinds of nodes, one of which starts late and is then thirty times as fast."""
    for kind, start, rate in (("cpu", 1.0, 1e-6), ("gpu", 20.0, 3e-8)):
        fields = {"start_seconds": start, "wall_factor": 1.0, "table": {}}
        write_json(folder / f"results/tiny/devices/{kind}.json", calibration(dict.fromkeys(FEATURES, rate), **fields))


def test_placement_runs_nothing_again_and_places_what_is_new(study_copy: Path) -> None:
    def plan(**changes: object) -> tuple[dict[str, int], str]:
        return dry_run(study_copy, write_study(study_copy, placement=PLACEMENT, **changes))

    jobs, text = plan()
    assert jobs == {} and "no placement, results/tiny/devices/cpu.json is missing" in text
    measured(study_copy)
    assert plan()[0] == {}
    jobs, text = plan(search__steps=4, baselines__steps=3)
    assert jobs["step"] == 2
    # The proposal is not there yet, so the node is not known either.
    assert text.count("slurm_partition=<TBD>") == 2
    store = study_copy / "results/tiny/store"
    before = {p.parent.name for p in store.glob("*/run.json")}
    study = write_study(study_copy, placement=PLACEMENT, search__steps=4, baselines__steps=3)
    done = snakemake(study_copy, "--configfile", str(study), "--cores", "2", "--until", "search")
    new = [json.loads(p.read_text()) for p in store.glob("*/run.json") if p.parent.name not in before]
    assert len(new) == 2 and {run["kind"] for run in new} <= set(PLACEMENT)
    for run in new:
        partition = PLACEMENT[run["kind"]]["resources"]["slurm_partition"]
        assert f"kind={run['kind']}" in done.stderr and f"slurm_partition={partition}" in done.stderr
    assert plan(search__steps=4, baselines__steps=3, search__finalists=1)[0].get("step") is None


def test_another_study_of_the_paper_is_placed_by_its_own_settings(study_copy: Path) -> None:
    """The study phantom-fmri names no kinds of nodes, so its steps run on any."""
    measured(study_copy)
    study = write_study(study_copy, placement=PLACEMENT, paper=["phantom-fmri"])
    jobs, text = dry_run(study_copy, study, "results/phantom-fmri/search/random/steps/0/result.json")
    assert jobs["step"] == 1
    assert "kind=any" in text and "slurm_partition" not in text


def test_final_trainings_are_placed(study_copy: Path) -> None:
    measured(study_copy)
    jobs, text = dry_run(study_copy, write_study(study_copy, placement=PLACEMENT, training__seeds=3))
    assert jobs["train"] == len(list((study_copy / "results/tiny/networks").iterdir()))
    assert text.count("slurm_partition=long") + text.count("slurm_partition=fast") == jobs["train"]
