import pytest

from voxnas.cli.main import main
from voxnas.core.architecture import network_key
from voxnas.core.training import Derivation, Weights
from voxnas.core.trial import Network
from voxnas.deploy.package import write_model
from voxnas.io.records import file_digest, read_json, read_record


@pytest.fixture
def model(finished_study, tmp_path):
    assert main(["package", "--study", str(finished_study.root), "--output", str(tmp_path / "model")]) == 0
    return tmp_path / "model"


def test_the_folder_holds_all_that_prediction_needs(model, finished_study):
    assert sorted(p.name for p in model.iterdir()) == [
        "README.md", "architecture.json", "model.json", "plan.json", "weights-0.safetensors", "weights-1.safetensors",
    ]  # fmt: skip
    network = read_record(model / "architecture.json", Network)
    assert network.name == "bayesian-1" and network.key == network_key(network.architecture, network.recipe)
    assert read_json(model / "plan.json") == read_json(finished_study.plan)
    for seed in (0, 1):
        source = finished_study.seed(network.key, seed) / "weights.safetensors"
        assert (model / f"weights-{seed}.safetensors").read_bytes() == source.read_bytes()


def test_the_best_seed_by_validation_is_the_default(model):
    record = read_json(model / "model.json")
    assert record["default"] == 1 and record["members"] == [0, 1]
    assert {name: file_digest(model / name) for name in record["digests"]} == record["digests"]
    assert record["threads"] == 1 and record["precision"] == "auto" and len(record["data_digest"]) == 64


def test_the_card_says_how_well_and_how_far(model):
    card = (model / "README.md").read_text()
    for text in ("bayesian-1 (ensemble)", "% interval", "voxnas predict", "## Limits", "## Licence"):
        assert text in card


def test_an_old_member_does_not_stay(model, finished_study):
    (model / "weights-7.safetensors").touch()
    assert main(["package", "--study", str(finished_study.root), "--output", str(model)]) == 0
    assert not (model / "weights-7.safetensors").exists()


def test_the_derivation_of_a_network_is_recorded(model, finished_study, tmp_path):
    network = read_record(model / "architecture.json", Network)
    derived = network.model_copy(update={"derivation": Derivation(start=Weights(source="a" * 12))})
    (tmp_path / "derived").mkdir()
    write_model(finished_study, derived, (0, 1), 0, tmp_path / "derived")
    assert read_json(tmp_path / "derived" / "model.json")["derivation"]["start"] == {"source": "a" * 12}
    assert read_record(tmp_path / "derived" / "architecture.json", Network) == derived
    assert "derivation" not in read_json(model / "model.json")


def test_another_network_is_packaged_by_its_name(finished_study, tmp_path, capsys):
    arguments = ["package", "--study", str(finished_study.root), "--output", str(tmp_path / "model")]
    assert main([*arguments, "--network", "random-1"]) == 0
    assert read_record(tmp_path / "model" / "architecture.json", Network).name == "random-1"
    assert main([*arguments, "--network", "randm-1"]) == 2
    assert "has no network 'randm-1'. did you mean 'random-1'?" in capsys.readouterr().err
