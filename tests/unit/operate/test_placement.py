"""Placement of the trainings of a study on nodes, and the independence of its results from it."""

import pytest
from formula_study import PLAN, options
from plans import calibration, measured_network

from voxnas.complexity.features import FEATURES
from voxnas.complexity.placement import trial_seconds
from voxnas.core.errors import UserError
from voxnas.core.settings import StudySettings
from voxnas.core.spec import STEP_VERSIONS, stage_spec
from voxnas.core.trial import Network, Proposal
from voxnas.io.records import read_plan, read_record, write_json
from voxnas.operate.placement import arrival_kind, finalist_kinds, predicted, read_devices, step_kind, worker_of
from voxnas.operate.replay import replay
from voxnas.search.arrival import Arrivals
from voxnas.training.jobs import proposal_job
from voxnas.training.store import store_digest

SLOTS = {"cpu": 2, "gpu": 1}


def measure(s, kind, start, seconds):
    """A kind of node on which the first step takes `start` + `seconds`, and others by their size."""
    first = read_record(s.file("random", 0, "proposal"), Proposal)
    network, kept = first.architecture, {"wall_factor": 1.0, "table": measured_network(first.architecture, (), 1.0)}
    unit = calibration(dict.fromkeys(FEATURES, 1.0), start_seconds=0.0, **kept)
    rate = seconds / trial_seconds(unit, network, PLAN.patch, first.samples)
    write_json(s.paths.device(kind), calibration(dict.fromkeys(FEATURES, rate), start_seconds=start, **kept))


@pytest.fixture
def measured(study):
    """A random search of 12 steps and two kinds of nodes."""
    s = study("random", window=6)
    s.run("random", 12)
    measure(s, "cpu", 2.0, 40.0)
    measure(s, "gpu", 8.0, 2.0)
    return s


def test_expensive_steps_run_on_the_gpu(measured):
    s = measured
    kinds = [step_kind(s.paths, "random", step, SLOTS, 6) for step in range(12)]
    plan, devices = read_plan(s.paths.plan), read_devices(s.paths, SLOTS)
    cost = [
        predicted(devices, plan, p.architecture, p.samples)["cpu"]
        for p in (read_record(s.file("random", k, "proposal"), Proposal) for k in range(12))
    ]
    assert set(kinds) == set(SLOTS)
    mean = {kind: sum(c for c, k in zip(cost, kinds, strict=True) if k == kind) / kinds.count(kind) for kind in SLOTS}
    assert mean["cpu"] < mean["gpu"]
    # The answer does not depend on the order of the queries.
    assert [step_kind(s.paths, "random", step, SLOTS, 6) for step in reversed(range(12))] == kinds[::-1]


def test_a_step_that_is_not_proposed_yet_has_no_kind(measured):
    with pytest.raises(FileNotFoundError) as caught:
        step_kind(measured.paths, "random", 12, SLOTS, 6)
    assert caught.value.filename == str(measured.file("random", 12, "proposal"))


def test_a_kind_that_was_not_measured_is_named(measured):
    with pytest.raises(UserError, match="placement names big"):
        step_kind(measured.paths, "random", 0, {**SLOTS, "big": 1}, 6)


def test_an_idle_step_has_a_kind(measured):
    write_json(
        measured.file("random", 11, "proposal"), Proposal(search="random", step=11, trial="random-11", origin="idle")
    )
    assert step_kind(measured.paths, "random", 11, SLOTS, 6) in SLOTS


def test_steps_without_a_proposal_are_divided_by_the_speed_of_the_kinds(measured):
    measure(measured, "cpu", 0.0, 8.0)
    measure(measured, "gpu", 0.0, 2.0)
    kinds = [arrival_kind(measured.paths, "random", step, SLOTS, 20) for step in range(60)]
    assert kinds.count("gpu") == pytest.approx(40, abs=2)  # four times as fast as one of two


def test_finalists_are_placed_together_the_longest_first(measured):
    measure(measured, "gpu", 8.0, 20.0)
    networks = []
    for k in range(4):
        p = read_record(measured.file("random", k, "proposal"), Proposal)
        networks.append(
            Network(
                key=p.key, name=f"n{k}", source="random", architecture=p.architecture, recipe=p.recipe, samples=2400
            ).plain()
        )
    write_json(measured.paths.finalists, {"networks": networks})
    kinds = finalist_kinds(measured.paths, SLOTS, 3)
    assert kinds.keys() == {(n["key"], seed) for n in networks for seed in range(3)}
    assert set(kinds.values()) == set(SLOTS)


def test_a_proposal_for_a_kind_keeps_its_time_and_is_replayed(arriving):
    s = arriving("random", start=False)
    s.arrive("random", 0)
    measure(s, "cpu", 2.0, 40.0)
    log = Arrivals(s.paths, "random")
    plan, devices = read_plan(s.paths.plan), read_devices(s.paths, {"cpu": 1})

    def seconds(p):
        return predicted(devices, plan, p.architecture, p.samples)["cpu"]

    free = [log.propose(step) for step in range(1, 9)]
    limit = sorted(map(seconds, free))[2]
    kept = [log.propose(step, worker_of(s.paths, "cpu", limit)) for step in range(9, 17)]
    assert max(map(seconds, kept)) <= limit < max(map(seconds, free))
    assert {(p.known.kind, p.known.seconds) for p in kept} == {("cpu", limit)}
    assert not replay(s.paths, "random").differences
    measure(s, "cpu", 3.0, 60.0)
    found = replay(s.paths, "random").differences
    assert (
        len(found) == len(kept) and "step 9 was made for the node kind cpu, which has been measured again" in found[0]
    )


def test_a_worker_without_the_time_does_not_promote(arriving):
    s = arriving("random", start=False, **options(rungs=2, factor=2))
    s.arrive("random", 0, 1)
    measure(s, "cpu", 2.0, 40.0)
    log = Arrivals(s.paths, "random")
    plan, devices = read_plan(s.paths.plan), read_devices(s.paths, {"cpu": 1})
    costs = [predicted(devices, plan, p.architecture, p.samples)["cpu"] for p in log.proposals()]
    assert log.propose(2, worker_of(s.paths, "cpu", 0.9 * min(costs))).rung == 0
    assert log.propose(3, worker_of(s.paths, "cpu", 2 * max(costs))).rung == 1
    assert not replay(s.paths, "random").differences


def test_no_result_depends_on_placement(measured):
    """Neither a spec nor the digest of a training contains a kind of node or its measurements."""
    s = measured
    p = read_record(s.file("random", 0, "proposal"), Proposal)
    spec = stage_spec(StudySettings(seed=5), "train")
    write_json(s.paths.spec("train"), spec)
    digest = store_digest(proposal_job(s.paths, p), spec, "data")
    measure(s, "cpu", 99.0, 1.0)
    s.paths.device("gpu").unlink()
    assert store_digest(proposal_job(s.paths, p), spec, "data") == digest
    placed = StudySettings.model_validate(
        {"placement": {"cpu": {"slots": 3, "seconds": 60, "resources": {"slurm_partition": "long"}}}}
    )
    search = {"name": "random", "method": "random", "baseline": None, "space": {}}
    for stage in STEP_VERSIONS:
        more = search if stage == "search" else {}
        assert stage_spec(placed, stage, **more) == stage_spec(StudySettings(), stage, **more)
