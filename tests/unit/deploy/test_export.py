from importlib.util import find_spec

import nibabel
import numpy as np
import pytest
import torch
from model_folders import sign_model, untrained_model
from torch import nn

from voxnas.arch.families import expand
from voxnas.cli.main import main
from voxnas.core.errors import UserError
from voxnas.core.trial import Network
from voxnas.deploy.export import (
    ExportedNetwork,
    adaptive_average,
    check_parity,
    compare_outputs,
    export_onnx,
    random_inputs,
    write_exports,
)
from voxnas.deploy.runtimes import Parity, exportable, read_runtimes
from voxnas.io.records import read_record
from voxnas.io.tables import read_table

needs_extra = pytest.mark.skipif(len(exportable()) < 2, reason="the extra `deploy` is not installed: make deploy")


@pytest.mark.parametrize("size", [(4, 3, 1), (7, 5, 6), (2, 2, 2)])
def test_adaptive_average_equals_torch(size):
    x = torch.randn(2, 3, 7, 5, 6)
    assert torch.allclose(adaptive_average(x, size), nn.functional.adaptive_avg_pool3d(x, size), atol=1e-6)


def test_parity_counts_classes_and_values():
    logits = torch.stack([torch.ones(1000), torch.zeros(1000)])[None]
    other = logits.clone()
    other[..., 0] = torch.tensor([0.5, 0.75])
    parity = compare_outputs(lambda x: logits, lambda x: other if x.item() else logits, [torch.zeros(1), torch.ones(1)])
    assert parity.agreement == pytest.approx(0.999) and parity.difference == 0.75
    assert compare_outputs(lambda x: logits, lambda x: logits * torch.nan, [torch.zeros(1)]).difference == 1


@pytest.mark.parametrize(("agreement", "difference"), [(0.9998, 0.0), (1.0, 0.002)])
def test_an_export_that_differs_is_refused(agreement, difference):
    check_parity(Parity(agreement=0.99991, difference=9e-4), "onnx")
    with pytest.raises(UserError, match="the export for onnx differs from PyTorch"):
        check_parity(Parity(agreement=agreement, difference=difference), "onnx")


def test_inputs_vary_in_batch_and_size():
    assert [x.shape for x in random_inputs((1, 2, 8, 8, 4), (4, 4, 2), True)] == [(1, 2, 8, 8, 4), (2, 2, 12, 12, 6)]
    assert [x.shape for x in random_inputs((1, 2, 1, 8, 8), (1, 1, 1), False)] == [(b, 2, 1, 8, 8) for b in (1, 2)]
    assert [x.shape for x in random_inputs((1, 5, 2, 8, 8, 4), (4, 4, 2), False)] == [
        (b, 5, 2, 8, 8, 4) for b in (1, 2)
    ]


@needs_extra
def test_every_run_time_predicts_as_torch(tmp_path, capsys):
    (tmp_path / "model").mkdir()
    model = untrained_model(tmp_path / "model", "segmentation")
    assert main(["export", str(model)]) == 0
    out = capsys.readouterr().out
    runtimes = read_runtimes(model)
    assert set(runtimes.parity) == {"onnx", "openvino"} and set(runtimes.latency) == {"torch", "onnx", "openvino"}
    assert all(f"{name}: " in out for name in runtimes.latency) and runtimes.input[:2] == ("batch", 1)
    assert "## Run-times" in (model / "README.md").read_text()
    voxels = np.random.default_rng(0).integers(1, 400, (21, 13, 9)).astype(np.int16)  # slides over a patch of 8
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.5, 1.5, 1.5, 1])), tmp_path / "scan.nii.gz")
    found = {}
    for name in ("auto", "torch", "onnx", "openvino"):
        call = ["predict", "--model", str(model), "--input", str(tmp_path / "scan.nii.gz"), "--ensemble"]
        assert main([*call, "--runtime", name, "--output", str(tmp_path / name)]) == 0
        used = runtimes.by_latency()[0] if name == "auto" else name
        assert f"run-time: {used}" in capsys.readouterr().out
        found[name] = np.asanyarray(nibabel.load(tmp_path / name / "scan_dseg.nii.gz").dataobj)
    assert all((labels == found["torch"]).mean() > 0.999 for labels in found.values())
    assert len(np.unique(found["torch"])) > 1


@needs_extra
def test_a_regression_keeps_the_units_of_its_target(tmp_path, capsys):
    from voxnas.io.weights import load_weights, save_weights

    (tmp_path / "model").mkdir()
    model = untrained_model(tmp_path / "model", "regression", members=1)
    tensors, _ = load_weights(model / "weights-0.safetensors")
    save_weights(model / "weights-0.safetensors", tensors, {"target_mean": "50", "target_sd": "10"})
    sign_model(model)
    write_exports(model, ["onnx"])
    assert not (model / "network-0.xml").exists()
    nibabel.save(nibabel.Nifti1Image(np.random.default_rng(0).random((9, 9, 9)), np.eye(4)), tmp_path / "scan.nii.gz")
    values = []
    for name in ("torch", "onnx"):
        call = ["predict", "--model", str(model), "--input", str(tmp_path / "scan.nii.gz"), "--runtime", name]
        assert main([*call, "--output", str(tmp_path / name)]) == 0
        values.append(float(read_table(tmp_path / name / "predictions.tsv", {"scan": str}).predicted[0]))
    assert values[0] == pytest.approx(values[1], abs=1e-4) and 40 < values[0] < 60


@needs_extra
def test_own_convolutions_are_exported_as_plain_ones(tmp_path):
    import onnx

    from voxnas.nn.build import build_network

    (tmp_path / "model").mkdir()
    model = untrained_model(tmp_path / "model", "segmentation")
    architecture = read_record(model / "architecture.json", Network).architecture
    network = build_network(architecture).eval()
    named = export_onnx(network, (1, 1, 8, 8, 8), tmp_path / "network.onnx", True)
    graph = onnx.load(tmp_path / "network.onnx").graph
    convolutions = sum(isinstance(m, nn.Conv3d) for m in network.modules())
    assert sum(node.op_type == "Conv" for node in graph.node) == convolutions
    assert {node.domain for node in graph.node} == {""}
    assert len(named) == 5 and named[0] == "batch" and expand(architecture).divisor == (2, 2, 2)
    exported = ExportedNetwork(tmp_path / "network.onnx", 1)
    assert exported(torch.zeros(3, 1, 12, 8, 10)).shape == (3, 3, 12, 8, 10)


@pytest.mark.skipif(find_spec("onnxscript") is None, reason="the extra `deploy` is not installed: make deploy")
def test_an_operator_without_counterpart_is_named(tmp_path):
    class Eigenvalues(nn.Module):
        def forward(self, x):
            return torch.linalg.eigvals(x).real

    with pytest.raises(UserError, match=r"cannot be exported to ONNX: .*eig"):
        export_onnx(Eigenvalues(), (1, 4, 4), tmp_path / "network.onnx", False)
    assert not (tmp_path / "network.onnx").exists()
