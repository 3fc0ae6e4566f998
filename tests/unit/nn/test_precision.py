import pytest
import torch

from voxnas.nn.precision import autocast, precision_name, resolve_precision


def test_auto_follows_the_processor(monkeypatch):
    sapphire_rapids = {"avx512_bf16": True, "avx512_fp16": True}
    for capabilities, dtype in (
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({**sapphire_rapids, "amx_bf16": True}, torch.bfloat16),
        ({**sapphire_rapids, "amx_bf16": False}, None),
        ({"avx2": True}, None),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert resolve_precision("auto") is dtype


def test_a_named_precision_is_used():
    assert resolve_precision("bf16") is torch.bfloat16
    assert resolve_precision("float32") is None
    with pytest.raises(ValueError, match="half"):
        resolve_precision("half")


@pytest.mark.parametrize(("native", "name"), [(True, "bf16"), (False, "fp16")])
def test_auto_is_half_precision_on_a_gpu_without_bfloat16(monkeypatch, native, name):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert precision_name("auto", "cuda") == name


TYPES = [("float32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]


@pytest.mark.parametrize(("setting", "dtype"), TYPES)
def test_autocast_uses_the_precision(setting, dtype):
    with autocast(setting):
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype is dtype
