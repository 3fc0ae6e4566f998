"""Order of arrival in the real workflow: the plan, lost files, kills, more steps; and every proposal replayed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from running import RunOnce, dry_run, resume, snakemake, start_and_kill, trainings, write_study

SEARCHES = ("baseline-unet", "random")
STEPS = 6
ARRIVAL = {
    "search__order": "arrival",
    "search__window": 4,
    "search__steps": STEPS,
    "baselines__steps": 1,
    "search__methods": ["random"],
    "search__promotion": "asha",
    "search__options": {"asha": {"rungs": 2, "factor": 2}},
}
UNTIL = ("--until", "search")


@pytest.fixture(scope="session")
def searched(run_once: RunOnce) -> Path:
    """Working folder of a tiny study whose search, in order of arrival, has run to its end."""

    def search(folder: Path) -> None:
        snakemake(folder, "--configfile", str(write_study(folder, **ARRIVAL)), "--cores", "2", *UNTIL)

    return run_once("searched", search)


@pytest.fixture
def copied(searched: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    shutil.copytree(searched, folder, symlinks=True)
    return folder


def replays(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "voxnas", "replay", "study.yaml", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def decisions(folder: Path) -> dict[str, str]:
    steps = (folder / "results/tiny/search").glob("*/steps/*/*.json")
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(steps) if p.name != "run.json"}


def arrived(folder: Path) -> dict[str, str]:
    """All entries of the logs of the searches."""
    log = (folder / "results/tiny/search").glob("*/arrivals/*/*/*.json")
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(log) if not p.name.startswith(".")}


def test_finished_search_is_replayed(searched: Path) -> None:
    done = replays(searched)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "baseline-unet (arrival): 1 of 1 proposals agree",
        f"random (arrival): {STEPS} of {STEPS} proposals agree",
    ]
    assert replays(searched, "--search", "random").stdout == done.stdout.splitlines(keepends=True)[1]
    assert "has no search 'bayes'" in replays(searched, "--search", "bayes").stderr
    # The proposals of the steps are copies of the proposals in the log.
    for name in SEARCHES:
        for file in (searched / "results/tiny/search" / name).glob("arrivals/*/proposals/*.json"):
            step = json.loads(file.read_text())["step"]
            assert file.read_text() == (searched / f"results/tiny/search/{name}/steps/{step}/proposal.json").read_text()


def test_plans(copied: Path) -> None:
    def plan(**changes: object) -> dict[str, int]:
        return dry_run(copied, write_study(copied, **{**ARRIVAL, **changes}), *UNTIL)[0]

    assert plan() == {}
    more = plan(search__steps=STEPS + 2)
    assert more["step"] == 2 and "propose" not in more
    assert plan(search__start=False)["step"] == STEPS + 1
    # Options of a strategy that takes no part.
    assert plan(search__options={**ARRIVAL["search__options"], "bayesian": {"initial": 5}}) == {}


def test_lost_files_cost_no_training(copied: Path) -> None:
    before, trained, log = decisions(copied), trainings(copied), arrived(copied)
    lost = "results/tiny/search/random/steps/1"
    shutil.rmtree(copied / lost)
    snakemake(copied, "--configfile", str(copied / "study.yaml"), "--cores", "2", f"{lost}/result.json")
    assert (decisions(copied), trainings(copied), arrived(copied)) == (before, trained, log)


def test_more_steps_leave_the_others(copied: Path) -> None:
    before, trained, log = decisions(copied), trainings(copied), arrived(copied)
    study = write_study(copied, **{**ARRIVAL, "search__steps": STEPS + 2})
    snakemake(copied, "--configfile", str(study), "--cores", "2", *UNTIL)
    assert decisions(copied).items() > before.items()
    assert trainings(copied).items() > trained.items()
    assert arrived(copied).items() > log.items()
    assert f"random (arrival): {STEPS + 2} of {STEPS + 2} proposals agree" in replays(copied).stdout


def steps_that_train(folder: Path) -> list[psutil.Process]:
    """Jobs of this study whose proposal is recorded and that have a worker."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            if "step" in line and Path(process.cwd()) == folder and process.children(recursive=True):
                found.append(process)
        except psutil.Error:
            continue
    return [p for p in found if "voxnas" in p.cmdline()]


def test_killed_step_and_killed_snakemake(tmp_path: Path) -> None:
    """One step is killed while it trains, then Snakemake: nothing that was proposed is proposed again."""

    def kill_a_step() -> bool:
        found = steps_that_train(tmp_path)
        for step in found[:1]:
            step.kill()
        return bool(found)

    def two_results() -> bool:
        return len([name for name in arrived(tmp_path) if "/random/" in name and "/results/" in name]) >= 2

    study = write_study(tmp_path, **{**ARRIVAL, "search__budget": {"amount": 24, "unit": "samples"}})
    start_and_kill(tmp_path, study, kill_a_step, two_results, arguments=[*UNTIL, "--retries", "1"])
    log = arrived(tmp_path)
    resume(tmp_path, study, *UNTIL)
    assert arrived(tmp_path).items() > log.items()
    assert replays(tmp_path).stdout.splitlines() == [
        "baseline-unet (arrival): 1 of 1 proposals agree",
        f"random (arrival): {STEPS} of {STEPS} proposals agree",
    ]
    names = [name for name in decisions(tmp_path) if "/random/" in name]
    assert len(names) == 2 * STEPS
