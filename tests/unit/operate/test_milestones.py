"""Lines about the progress of a study."""

from dataclasses import replace

from voxnas.core.measures import validation_measure
from voxnas.operate.milestones import Milestones
from voxnas.operate.snapshot import Best, Cost, Failure, Snapshot, Stage

STAGES = ("index", "preprocess", "search", "train", "benchmark", "report")


def snapshot(jobs, of=85, best=None, failed=()):
    """A study of which some jobs are done; its stages share them equally."""
    stages = [Stage(name, "done" if jobs * len(STAGES) >= of * (i + 1) else "running") for i, name in enumerate(STAGES)]
    cost = Cost(jobs, jobs, float(of - jobs), of - jobs, 1, float(of - jobs))
    return Snapshot("s", "running", 0, stages, [], [], best, list(failed), [], cost, validation_measure("regression"))


def test_a_study_of_85_jobs_takes_few_lines():
    milestones = Milestones(0)
    best = Best("random 1", -4.25, 10, 10, {})
    lines = [line for jobs in range(86) for line in milestones.lines(snapshot(jobs, best=best))]
    assert len(lines) <= 6 + 9
    assert any("search: " in line and "best validation mean absolute error 4.250 (random 1)" in line for line in lines)
    assert any("about 42 s left" in line for line in lines)
    assert milestones.lines(snapshot(85)) == []


def test_what_an_earlier_run_completed_is_one_line():
    milestones = Milestones(0)
    old = Failure("random 0", "loss is not finite", None)
    (line,) = milestones.lines(snapshot(30, failed=[old]))
    assert line.endswith("complete from an earlier run: index, preprocess")
    new = Failure("random 3", "out of memory", None)
    (line,) = milestones.lines(snapshot(30, failed=[old, new]))
    assert line.endswith("trial random 3 failed: out of memory")
    assert milestones.lines(snapshot(30, failed=[old, new])) == []


def test_a_stage_that_runs_again_is_told_once():
    milestones = Milestones(0)
    told = [milestones.lines(snapshot(jobs)) for jobs in (85, 85, 75, 85, 75, 85)]
    assert [len(lines) for lines in told] == [1, 0, 0, 1, 0, 0] and "report: " in told[3][0]


def test_a_failed_job_of_this_run_is_told(tmp_path):
    log = tmp_path / "plan.log"
    log.touch()
    shown = replace(snapshot(0), jobs_failed=[Failure("plan", "no voxel size", log)])
    milestones = Milestones(0)
    milestones.lines(snapshot(0))
    assert [line.split("  ")[1] for line in milestones.lines(shown)] == ["job plan failed: no voxel size"]
    assert Milestones(log.stat().st_mtime + 1).lines(shown) == []
