"""An invalid study file gives one line with the key, the value, the allowed values and the most similar key."""

import pytest

from voxnas.core.errors import UserError
from voxnas.core.settings import StudySettings, needs_calibration, parse_settings

MISTAKES = [
    ({"serach": 1}, ["'serach'", "did you mean 'search'"]),
    ({"search": {"step": 3}}, ["'search.step'", "'search.steps'", "(value 3)"]),
    ({"training": {"budget": {"amuont": 3}}}, ["'training.budget.amount'"]),
    ({"search": {"steps": -1}}, ["search.steps = -1", "greater than or equal to 0"]),
    ({"search": {"steps": "many"}}, ["search.steps = 'many'", "valid integer"]),
    ({"search": {"methods": ["bo"]}}, ["search.methods", "'bo'", "bayesian, random"]),
    ({"search": {"methods": ["baysian"]}}, ["did you mean 'bayesian'"]),
    ({"search": {"methods": ["asha"]}}, ["search.methods: 'asha' is a promotion strategy"]),
    ({"search": {"promotion": "random"}}, ["search.promotion: 'random' is not a promotion strategy", "asha"]),
    ({"search": {"options": {"ahsa": {}}}}, ["search.options", "'ahsa'", "did you mean 'asha'"]),
    ({"search": {"options": {"asha": {"rugns": 3}}}}, ["'search.options.asha.rugns'", "'search.options.asha.rungs'"]),
    ({"search": {"options": {"asha": {"rungs": 1}}}}, ["search.options.asha.rungs = 1", "equal to 2"]),
    ({"search": 3}, ["search = 3"]),
    ({"preprocess": {"spacing": [1, 0, 1]}}, ["'auto'", "greater than 0"]),
    ({"training": {"patch": [3, 3]}}, ["training.patch"]),
    ({"benchmark": {"confidence": 1.0}}, ["benchmark.confidence = 1.0", "less than 1"]),
    ({"study": "My Study"}, ["study = 'My Study'"]),
    ({"task": "classification", "data_root": "x"}, ["data.target", "participants.tsv"]),
    (
        {"placement": {"cpu": {}, "gpu": {"resources": {"gres": "gpu:1"}}}},
        ["placement.cpu.resources lacks gres", "gres: none"],
    ),
    ({"placement": {"cpu": {"slots": 0}}}, ["placement.cpu.slots = 0"]),
]


@pytest.mark.parametrize(("raw", "words"), MISTAKES, ids=lambda v: str(v)[:40])
def test_mistakes_are_one_clear_line(raw: dict, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse_settings(raw, "study.yaml")
    text = str(caught.value)
    assert "\n" not in text and text.startswith("study.yaml: ")
    for word in words:
        assert word in text


def test_empty_mapping_is_the_default_study() -> None:
    assert parse_settings({}) == StudySettings()


def test_options_that_are_the_defaults_are_not_kept() -> None:
    given = {"search": {"options": {"bayesian": {"initial": 4, "surrogate": "forest"}, "asha": {"factor": 3}}}}
    assert parse_settings(given).search.options == {"bayesian": {"surrogate": "forest"}}


def test_calibration_is_needed_for_times_only() -> None:
    assert not needs_calibration(StudySettings())
    timed = {"training": {"budget": {"amount": 10, "unit": "cpu_seconds"}}}
    assert needs_calibration(parse_settings(timed))
    assert needs_calibration(parse_settings({"search": {"limits": {"latency_ms": 5}}}))
    assert needs_calibration(parse_settings({"search": {"limits": {"memory_mib": 2000}}}))


def test_a_study_needs_something_to_train():
    assert parse_settings({"search": {"methods": []}}).search.methods == ()
    with pytest.raises(UserError, match="name at least one"):
        parse_settings({"search": {"methods": []}, "baselines": {"names": []}})
