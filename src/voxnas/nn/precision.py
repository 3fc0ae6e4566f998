"""In which precision a network computes: one rule for training, inference and measurements."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def resolve_precision(setting: str, device: str | torch.device = "cpu") -> torch.dtype | None:
    """The type of autocast for a setting.

    Parameters
    ----------
    setting : str
        ``float32``, ``bf16``, or ``auto``: bfloat16 where the processor has it in hardware
        (AVX512-BF16 or AMX on a CPU), for there it is faster, else float32.
    device : str or torch.device
        Where the network runs.

    Returns
    -------
    torch.dtype or None
        ``torch.bfloat16``, or None for plain float32.

    Raises
    ------
    ValueError
        For any other setting.
    """
    if setting not in ("auto", "float32", "bf16"):
        raise ValueError(f"precision {setting!r} is none of auto, float32, bf16")
    if setting == "auto":
        if torch.device(device).type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            capabilities = torch.cpu.get_capabilities()
            native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
        setting = "bf16" if native else "float32"
    return torch.bfloat16 if setting == "bf16" else None


def autocast(setting: str, device: str | torch.device = "cpu") -> AbstractContextManager[None]:
    """Context in which a network's forward pass follows :func:`resolve_precision`."""
    dtype = resolve_precision(setting, device)
    return torch.autocast(torch.device(device).type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)
