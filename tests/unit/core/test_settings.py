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
    ({"search": {"methods": ["bo"]}}, ["search.methods", "'bo'", "asha, bayesian"]),
    ({"search": {"methods": ["baysian"]}}, ["did you mean 'bayesian'"]),
    ({"search": {"methods": ["asha"]}}, ["search.methods: 'asha' is a promotion strategy"]),
    ({"search": {"promotion": "random"}}, ["search.promotion: 'random' is not a promotion strategy", "asha"]),
    ({"search": {"options": {"ahsa": {}}}}, ["search.options", "'ahsa'", "did you mean 'asha'"]),
    ({"search": {"options": {"asha": {"rugns": 3}}}}, ["'search.options.asha.rugns'", "'search.options.asha.rungs'"]),
    ({"search": {"options": {"asha": {"rungs": 1}}}}, ["search.options.asha.rungs = 1", "equal to 2"]),
    ({"search": 3}, ["search = 3"]),
    ({"search": {"objectives": ["score"], "targets": {"macs": {"value": 9}}}}, ["targets.macs", "not in objectives"]),
    ({"search": {"methods": ["random"], "prior": ["x.tsv"]}}, ["search.prior is used by none", "add voxnas"]),
    ({"search": {"targets": {"seconds": {"value": 9}}}}, ["search.targets.seconds"]),
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
    ({"placement": {"cpu": {"resources": {"kind": "; touch pwned"}}}}, ["placement.cpu.resources", "kind is reserved"]),
    ({"placement": {"cpu": {"resources": {"sbatch": "--wrap=x"}}}}, ["sbatch is reserved"]),
    ({"placement": {"cpu": {"resources": {"gres": "$(touch pwned)"}}}}, ["gres = '$(touch pwned)'"]),
    ({"placement": {"cpu": {"resources": {"a b": 1}}}}, ["'a b' is not the name of a resource"]),
    ({"placement": {"cpu; touch pwned": {}}}, ["placement.cpu; touch pwned"]),
    ({"container": "docker://x; touch pwned"}, ["container = 'docker://x; touch pwned'"]),
    ({"paper": ["../x|.*"]}, ["paper.0 = '../x|.*'"]),
    ({"study": 300 * "a"}, ["study = 'aaa", "at most 100"]),
    ({"data_root": "/x/{study}"}, ["data_root = '/x/{study}' contains braces"]),
    ({"data_root": "/x", "data": {"folder": "}"}}, ["data.folder = '}' contains braces"]),
    ({"data_root": "/x\0y"}, [r"'/x\x00y' contains control characters"]),
    ({"report": {"title": "\ud800"}}, [r"'\ud800' contains control characters"]),
    ({"report": {"title": 2000 * "a"}}, ["report.title = 'aaa", "at most 1000"]),
    ({"preprocess": {"shards": 10**9}}, ["preprocess.shards = 1000000000", "10000"]),
    ({"training": {"threads": 100_000}}, ["training.threads = 100000", "1024"]),
    ({"training": {"patch": [4000, 4000, 4000]}}, ["training.patch", "at most 134,217,728 voxels"]),
    ({"seed": 10**30}, ["seed = 1000", "less than 9223372036854775808"]),
    (
        {"task": "classification", "data": {"suffix": "bold"}, "clips": {"unit": "volume"}},
        ["clips.delay: 5 (s)", "0 if they are already shifted"],
    ),
    ({"final": {"teacher": "ensemble"}, "training": {"seeds": 4}}, ["each of the 5 folds", "training.seeds"]),
    (
        {"final": {"teacher": "ensemble"}, "training": {"seeds": 5}, "splits": {"unit": "block"}},
        ["divides runs", "final.teacher: none"],
    ),
]


@pytest.mark.parametrize(("raw", "words"), MISTAKES, ids=lambda v: str(v)[:40])
def test_mistakes_are_one_clear_line(raw: dict, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse_settings(raw, "study.yaml")
    text = str(caught.value)
    assert "\n" not in text and text.startswith("study.yaml: ")
    for word in words:
        assert word in text


def test_parts_that_yaml_repeats_are_not_expanded_in_the_message() -> None:
    bomb: object = "x"
    for _ in range(30):
        bomb = [bomb] * 10
    with pytest.raises(UserError, match=r"data\.filters\.x") as caught:
        parse_settings({"data": {"filters": {"x": bomb}}})
    assert len(str(caught.value)) < 2000


def test_the_home_folder_of_data_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert parse_settings({"data_root": "~/scans"}).data_root == "/home/ann/scans"


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
    assert needs_calibration(parse_settings({"search": {"objectives": ["score", "latency_ms"]}}))
    assert not needs_calibration(parse_settings({"search": {"objectives": ["score", "macs", "parameters"]}}))


def test_a_study_needs_something_to_train():
    assert parse_settings({"search": {"methods": []}}).search.methods == ()
    with pytest.raises(UserError, match="name at least one"):
        parse_settings({"search": {"methods": []}, "baselines": {"names": []}})
