"""Things that die under a study on Slurm: it ends with the same tables, and nothing is left running.

The first two are a part of continuous integration, the others are slow.
"""

import signal
import time

import pytest
from studies import differences, kill, wait_for


@pytest.fixture
def study(begin, request):
    """A study that begins to train, through the profile that the test names."""
    return begin(request.param)


def through(*profiles):
    return pytest.mark.parametrize("study", profiles, indirect=True)


def check(study, tables):
    """The end: same tables, nothing left, nothing run twice at once."""
    assert differences(study.study, tables) == []
    assert study.leftovers() == []
    assert study.doubles() == []


def running_step(study):
    """Id and node of a job that trains a search step."""
    return wait_for(
        lambda: [job for job in study.jobs("step") if job[0] in study.training_jobs()], 900, "a step that trains"
    )[0]


@through("slurm")
def test_killed_worker_and_cancelled_job(study, tables, cluster):
    def noticed():
        logs = "".join(p.read_text() for p in study.study.glob("logs/*/**/*.log"))
        return "a training process was killed (1 of 3 times)" in logs

    run = study.start()
    running_step(study)
    kill(study.workers()[0])
    wait_for(noticed, 60, "the job notices")
    job, _ = running_step(study)
    cluster.run("scancel", job)
    study.finish(run)
    assert cluster.states()[job] == "CANCELLED"
    check(study, tables)


@through("slurm-generic")
def test_killed_snakemake(study, tables, cluster):
    run = study.start()
    running_step(study)
    kill(run)
    run.wait()
    assert study.jobs(), "jobs outlive their Snakemake"
    study.finish(study.resume())
    log = study.log.read_text()
    assert "Slurm jobs of the killed run" in log and "removing the lock of the killed run" in log
    check(study, tables)


@pytest.mark.slow
@through("slurm", "slurm-generic")
def test_crashed_node(study, tables, cluster):
    run = study.start()
    job, node = running_step(study)
    cluster.crash_node(node)
    try:
        wait_for(lambda: cluster.states()[job] != "RUNNING", 60, "Slurm notices the loss of the node")
    finally:
        cluster.start_node(node)
    study.finish(run)
    check(study, tables)


@pytest.mark.slow
@through("slurm-generic")
def test_drained_node(study, tables, cluster):
    run = study.start()
    _, node = running_step(study)
    cluster.run("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    try:
        study.finish(run)
    finally:
        cluster.run("scontrol", "update", f"nodename={node}", "state=resume")
    check(study, tables)


@pytest.mark.slow
@through("slurm", "slurm-generic")
def test_warned_job_goes_back_into_the_queue(study, tables, cluster):
    """What Slurm sends before the time is over."""
    run = study.start()
    job, _ = running_step(study)
    study.warn(job)
    study.finish(run)
    assert cluster.states()[job] == "COMPLETED"
    assert "Restarts=1" in cluster.run("scontrol", "show", "job", job), "the same job, once more"
    check(study, tables)


@pytest.mark.slow
@through("slurm", "slurm-generic")
def test_preempted_job(study, tables, cluster):
    run = study.start()
    job, node = running_step(study)
    urgent = cluster.run(
        "sbatch", "--parsable", "-p", "urgent", "-w", node, "--exclusive", "--mem=0", "-t", "1", "--wrap", "sleep 5"
    ).strip()
    study.finish(run)
    assert cluster.states()[urgent] == "COMPLETED"
    assert cluster.states()[job] == "COMPLETED"
    assert "Restarts=1" in cluster.run("scontrol", "show", "job", job), "the same job, once more"
    check(study, tables)


@pytest.mark.slow
@through("slurm-generic")
def test_lost_result(study, tables):
    run = study.start()
    wait_for(study.results, 900, "a first result")
    study.results()[0].unlink()
    if run.wait(timeout=1800):
        study.finish(study.resume())
    if differences(study.study, tables):  # Snakemake does not miss a file whose consumers are complete
        lost = sorted(name for name in differences(study.study, tables) if name.endswith("result.json"))
        study.run(*(str((study.study / name).relative_to(study.folder)) for name in lost))
    check(study, tables)


@pytest.mark.slow
@through("slurm-generic")
def test_full_disk(study, tables, cluster):
    (study.study / "search").symlink_to(cluster.small)
    ballast = cluster.small / "ballast"
    run = study.start()
    wait_for(study.results, 900, "a first result")
    with pytest.raises(OSError, match="No space left"), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))
    assert run.wait(timeout=1800) != 0, "a full disk is an error"
    assert "No space left on device" in study.log.read_text()
    ballast.unlink()
    study.finish(study.resume())
    check(study, tables)


@pytest.mark.slow
@through("slurm", "slurm-generic")
def test_controller_away(study, tables, cluster):
    run = study.start()
    running_step(study)
    cluster.stop_controller()
    time.sleep(15)
    cluster.start_controller()
    study.finish(run)
    check(study, tables)


@pytest.mark.slow
@through("slurm")
def test_terminated_snakemake_waits_and_goes_on(study, tables):
    run = study.start()
    running_step(study)
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=1800) != 0
    study.finish(study.resume())
    check(study, tables)
