import pytest
from model_folders import untrained_model

from voxnas.cli.main import main
from voxnas.core.errors import UserError
from voxnas.deploy import runtimes as module
from voxnas.deploy.runtimes import FILE, Latency, Parity, Runtimes, check_exports, choose_runtime
from voxnas.io.records import file_digest, write_json
from voxnas.report.model_card import with_runtimes


@pytest.fixture
def record(tmp_path):
    """Exports for both run-times of which OpenVINO is the fastest and ONNX Runtime the slowest."""
    names = ("weights-0.safetensors", "network-0.onnx", "network-0.xml", "network-0.bin")
    for name in names:
        (tmp_path / name).write_text(name)
    times = {"openvino": 1.0, "torch": 2.0, "onnx": 3.0}
    record = Runtimes(
        opset=20,
        input=("batch", 1, "4*D", "4*H", "4*W"),
        device={"processor": "A", "threads": 1},
        parity={name: Parity(agreement=1, difference=1e-6) for name in ("onnx", "openvino")},
        latency={n: Latency(median_ms=ms, iqr_ms=0, precision="float32", version="1") for n, ms in times.items()},
        digests={name: file_digest(tmp_path / name) for name in names},
    )
    write_json(tmp_path / FILE, record)
    return record


@pytest.mark.parametrize(
    ("installed", "gpu", "expected"),
    [
        (("onnx", "openvino"), False, "openvino"),
        (("onnx",), False, "torch"),
        ((), False, "torch"),
        (("onnx", "openvino"), True, "torch"),
    ],
)
def test_auto_is_the_fastest_installed_one(record, tmp_path, monkeypatch, installed, gpu, expected):
    monkeypatch.setattr(module, "is_installed", lambda name: name == "torch" or name in installed)
    monkeypatch.setattr(module, "_has_gpu", lambda: gpu)
    assert choose_runtime(tmp_path, "auto") == expected


def test_a_folder_without_exports_predicts_by_torch(tmp_path):
    assert choose_runtime(tmp_path, "auto") == choose_runtime(tmp_path, "torch") == "torch"
    with pytest.raises(UserError, match=r"no export for --runtime onnx\. voxnas export .* --to onnx"):
        choose_runtime(tmp_path, "onnx")


def test_a_missing_package_is_named(record, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"onnxruntime is not installed\. .*make deploy"):
        choose_runtime(tmp_path, "onnx")
    assert choose_runtime(tmp_path, "auto") == "torch"
    (tmp_path / "model").mkdir()
    model = untrained_model(tmp_path / "model", "regression")
    assert main(["export", str(model), "--to", "openvino"]) == 2
    assert "export to openvino requires openvino and onnxscript" in capsys.readouterr().err


@pytest.mark.parametrize("changed", ["weights-0.safetensors", "network-0.bin"])
def test_exports_of_other_weights_and_damaged_files_are_refused(record, tmp_path, changed):
    weights = [tmp_path / "weights-0.safetensors"]
    assert check_exports(tmp_path, weights, "openvino") == [tmp_path / "network-0.xml"]
    (tmp_path / changed).write_text("other")
    with pytest.raises(UserError, match=f"{changed} does not fit .*voxnas export"):
        check_exports(tmp_path, weights, "openvino")


def test_the_card_has_one_table_of_latencies(record):
    card = with_runtimes(with_runtimes("# Card\n", record), record)
    assert card.startswith("# Card\n\n## Run-times\n") and card.count("## Run-times") == 1
    rows = [line.split(" | ")[0] for line in card.splitlines() if line.startswith("| ")]
    assert rows == ["| run-time", "| openvino 1", "| torch 1", "| onnx 1"]
    assert "batch x 1 x 4*D x 4*H x 4*W" in card and "100.000 %" in card
