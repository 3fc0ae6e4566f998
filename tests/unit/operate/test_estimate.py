"""The estimate of a study against sums by hand, and what it says where it knows nothing."""

from pathlib import Path

import pytest
from plans import SPACES, calibration, volume_plan

from voxnas.cli.main import main
from voxnas.complexity.features import FEATURES
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import parse_settings
from voxnas.io.records import write_json
from voxnas.operate.estimate import estimate, mean_share

SECONDS = {"amount": 36, "unit": "cpu_seconds"}
STUDY = {
    "search": {"methods": ["random", "voxnas"], "steps": 10, "window": 2, "budget": SECONDS, "finalists": 2},
    "baselines": {"names": ["unet"]},
    "training": {"budget": {"amount": 360, "unit": "cpu_seconds"}, "seeds": 3},
    "final": {"refit": True, "longer": 2},
}


@pytest.mark.parametrize(
    ("promotion", "options", "steps", "share"),
    [
        ("", {}, 10, 1),
        ("halving", {"rungs": 3, "factor": 3}, 390, 21 / 13),  # 9 trials, 3 continued for 2, 1 continued for 6
        ("asha", {"rungs": 2, "factor": 3}, 390, 5 / 4),
    ],
)
def test_the_mean_cost_of_a_step_follows_the_promotion(promotion, options, steps, share):
    settings = parse_settings({"search": {"promotion": promotion, "options": {promotion: options} if options else {}}})
    assert mean_share(settings, steps) == pytest.approx(share, rel=0.02)


def test_budgets_in_seconds_add_up(tmp_path):
    found = estimate(parse_settings(STUDY), StudyPaths(tmp_path), SPACES)
    search, finals, derived = found.stages
    assert (search.trainings, finals.trainings, derived.trainings) == (30, 15, 3)
    assert [s.hours for s in found.stages] == pytest.approx([0.3, 1.5, 0.6])
    # At most two steps of each of three searches run at once.
    assert search.wall_hours(100) == pytest.approx(0.05) and search.wall_hours(1) == pytest.approx(0.3)
    assert finals.wall_hours(4) == pytest.approx(0.4)
    assert found.unit == "core" and found.arrays_mib is None
    assert found.memory_mib[1] >= found.memory_mib[0] > 400
    assert any("64 x 64 x 64" in note for note in found.notes) and any("uncorrected" in note for note in found.notes)


def test_a_gradient_search_costs_its_supernet_and_its_trainings(tmp_path):
    options = {"scnas": {"trials": 14, "fine_tune": 1}, "pc_darts": {"trials": 3}}
    raw = {**STUDY["search"], "methods": ["scnas", "random", "pc_darts"], "options": options, "seeds": 2}
    found = estimate(parse_settings({**STUDY, "search": raw}), StudyPaths(tmp_path), SPACES)
    costs = {s.name.split()[1].strip(","): (s.trainings, s.hours) for s in found.stages if "one job" in s.name}
    assert costs == {"scnas": (2, pytest.approx(0.32)), "pc_darts": (2, pytest.approx(0.08))}
    assert not any("unknown" in note for note in found.notes)


def test_pruned_networks_and_their_controls_are_counted(tmp_path):
    compression = {"steps": ["prune"], "prune": {"levels": [0.5, 0.25], "longer": 0.5}}
    stages = estimate(parse_settings({**STUDY, "compression": compression}), StudyPaths(tmp_path), SPACES).stages
    finals, tuned, control = stages[1], *stages[-2:]
    assert tuned.trainings == control.trainings == 2 * 3
    assert [s.hours / s.trainings * finals.trainings for s in (tuned, control)] == pytest.approx(
        [0.5 * finals.hours, 1.5 * finals.hours]
    )


def test_a_budget_in_samples_needs_the_calibration(tmp_path):
    budget = {"amount": 90, "unit": "samples"}
    settings = parse_settings({**STUDY, "search": {**STUDY["search"], "budget": budget}})
    paths = StudyPaths(tmp_path)
    unknown = estimate(settings, paths, SPACES)
    assert unknown.stages[0].hours is None and any("calibration.json" in note for note in unknown.notes)
    write_json(paths.plan, volume_plan())
    process = {"": {"start": 10, "read": 0.5}}
    write_json(paths.calibration, calibration(dict.fromkeys(FEATURES, 0.0), process=process))
    known = estimate(settings, paths, SPACES)
    assert known.stages[0].seconds == pytest.approx(10 + 90 * 0.5)
    assert not any("assum" in note or "without a plan" in note for note in known.notes)


def test_a_larger_network_needs_more_memory_and_disk(tmp_path):
    def limited(parameters):
        limits = {"parameters": parameters}
        return parse_settings({**STUDY, "search": {**STUDY["search"], "limits": limits}})

    small, large = (estimate(limited(n), StudyPaths(tmp_path), SPACES) for n in (30_000, 3_000_000))
    assert small.memory_mib[1] < large.memory_mib[1] and small.disk_mib < large.disk_mib


def test_time_series_without_a_plan_have_no_memory(tmp_path):
    settings = parse_settings(
        {**STUDY, "task": "classification", "data": {"suffix": "bold"}, "baselines": {"names": []}}
    )
    found = estimate(settings, StudyPaths(tmp_path), SPACES)
    assert found.memory_mib is None and any("time series" in note for note in found.notes)


def test_the_verb_prints_the_total_and_refuses_what_it_does_not_know(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["estimate", str(Path(__file__).parents[3] / "config/test/tiny.yaml"), "--workers", "2"]) == 0
    printed = capsys.readouterr().out
    assert "tiny, on 2 workers" in printed and "total" in printed and "unknown" in printed and "disk:" in printed
    assert main(["estimate", "hippocampos"]) == 2 and "hippocampus" in capsys.readouterr().err
    assert main(["estimate", "phantom", "--workers", "0"]) == 2
