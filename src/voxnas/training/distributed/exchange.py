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
        Horovod only: time between two looks for gradients that are ready. At each look the processes talk to each
        other, which takes the time of a core that computes: where all cores do, looking often costs a third of the
        throughput (results/published/scaling). Beside a GPU less is better; Horovod's own is 1 ms.
    """

    compression: str = "none"
    fusion_mb: float | None = None
    cycle_ms: float = 25.0
