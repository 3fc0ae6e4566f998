"""The numerical precision of a network: one rule for training, inference and measurements."""

from contextlib import AbstractContextManager

import torch

NAMES: dict[torch.dtype | None, str] = {None: "float32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def resolve_precision(setting: str, device: str | torch.device = "cpu") -> torch.dtype | None:
    """Return the autocast type of a setting.

    Parameters
    ----------
    setting : str
        ``float32``, ``bf16``, ``fp16``, or ``auto`` for the fastest type of the hardware: bfloat16 if the device
        supports it, otherwise float16 on a GPU and float32 on a CPU. A CPU supports it by AMX or AVX512-BF16; without
        AMX the processors with AVX512-FP16 (Intel's) compute float32 faster. Gradients in float16 require loss scaling.
    device : str or torch.device
        Device of the network.

    Returns
    -------
    torch.dtype or None
        ``torch.bfloat16``, ``torch.float16``, or None for plain float32.

    Raises
    ------
    ValueError
        For an unknown setting.
    """
    if setting not in ("auto", *NAMES.values()):
        raise ValueError(f"precision {setting!r} is none of auto, {', '.join(NAMES.values())}")
    if setting == "auto":
        if torch.device(device).type == "cuda":
            setting = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        else:
            capabilities = torch.cpu.get_capabilities()
            native = capabilities.get("amx_bf16") or (
                capabilities.get("avx512_bf16") and not capabilities.get("avx512_fp16")
            )
            setting = "bf16" if native else "float32"
    return next(dtype for dtype, name in NAMES.items() if name == setting)


def precision_name(setting: str, device: str | torch.device = "cpu") -> str:
    """Return the precision of a setting on a device: ``float32``, ``bf16`` or ``fp16`` (:func:`resolve_precision`)."""
    return NAMES[resolve_precision(setting, device)]


def autocast(setting: str, device: str | torch.device = "cpu") -> AbstractContextManager[None]:
    """Context of a forward pass in the precision of a setting on a device (:func:`resolve_precision`)."""
    dtype = resolve_precision(setting, device)
    return torch.autocast(torch.device(device).type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)
