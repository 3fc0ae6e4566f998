import pytest
import torch

from voxnas.nn.precision import autocast, resolve_precision


def test_auto_follows_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "amx_bf16": False})
    assert resolve_precision("auto") is torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert resolve_precision("auto") is None


def test_a_named_precision_is_kept():
    assert resolve_precision("bf16") is torch.bfloat16
    assert resolve_precision("float32") is None
    with pytest.raises(ValueError, match="half"):
        resolve_precision("half")


@pytest.mark.parametrize(("setting", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_computes_in_it(setting, dtype):
    with autocast(setting):
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype is dtype
