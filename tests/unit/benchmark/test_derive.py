import pytest

from voxnas.benchmark import results
from voxnas.benchmark.derive import derive_networks, shipped_network
from voxnas.benchmark.leaderboard import choose_winner, is_searched
from voxnas.core.errors import UserError
from voxnas.core.spec import DeriveSpec
from voxnas.io.records import read_json, write_json


def spec(**changes):
    fields = {"refit": True, "teacher": "none", "temperature": 3.0, "weight": 0.7, "longer": 1.0}
    return DeriveSpec(stage="derive", version=1, **fields | changes)


def test_the_winner_by_validation_is_refitted_and_taught_under_its_own_budget(fake_segmentation):
    winner, other, *_ = results.finalists(fake_segmentation)
    refit, student = derive_networks(fake_segmentation, spec(teacher="ensemble"))
    assert (winner.name, refit.name, student.name) == ("bayesian-1", "bayesian-1-refit", "bayesian-1-student")
    assert refit.derivation.refit and refit.derivation.teacher is None and student.derivation.refit
    teacher = student.derivation.teacher
    assert (teacher.sources, teacher.temperature, teacher.weight) == ((winner.key,), 3.0, 0.7)
    assert teacher.out_of_fold and refit.samples == winner.samples
    assert len({winner.key, refit.key, student.key}) == 3
    assert not is_searched(refit.source) and not is_searched(student.source)
    _, diverse = derive_networks(fake_segmentation, spec(teacher="diverse"))
    assert diverse.derivation.teacher.sources[0] == winner.key and other.key in diverse.derivation.teacher.sources
    assert diverse.key != student.key
    assert derive_networks(fake_segmentation, spec(longer=2.5))[0].samples == round(2.5 * winner.samples)


def test_a_derived_network_is_shipped_but_never_chosen(fake_segmentation):
    derived = derive_networks(fake_segmentation, spec(teacher="ensemble"))
    write_json(fake_segmentation.derived, {"networks": [network.plain() for network in derived]})
    file = fake_segmentation.spec("benchmark")
    write_json(file, read_json(file) | {"derives": True})
    found = results.networks(fake_segmentation)
    assert [n.name for n in found[-2:]] == ["bayesian-1-refit", "bayesian-1-student"]
    assert shipped_network(fake_segmentation).name == "bayesian-1-student"
    scores = {n.name: 0.9 if n.derivation else 0.1 for n in found}
    assert choose_winner(found, scores, 1).derivation is None


def test_a_fitted_winner_is_refused(fake_segmentation, monkeypatch):
    linear = results.finalists(fake_segmentation)[0]
    monkeypatch.setattr("voxnas.benchmark.derive.family_of", lambda architecture: type("F", (), {"fitted": True}))
    with pytest.raises(UserError, match=f"the winner, {linear.name}, has no trainings to repeat"):
        derive_networks(fake_segmentation, spec())
