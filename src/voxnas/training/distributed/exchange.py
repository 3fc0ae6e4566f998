"""How the processes of a training exchange gradients. Imports no torch: the parent of a training uses it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Exchange:
    """Options of the exchange, under whichever backend.

    Parameters
    ----------
    compression : str
        ``none``, or ``fp16``: gradients travel in 16 bits, which rounds them, so it belongs to the settings.
    fusion_mb : float or None
        MiB of gradients that travel together: Horovod's fusion threshold, DDP's bucket; None: as the backend has it.
    cycle_ms : float
        Horovod only: time between two looks for gradients that are ready. It waits 1 ms by itself, which is long beside
        the step of a small network.
    """

    compression: str = "none"
    fusion_mb: float | None = None
    cycle_ms: float = 0.1
