"""Options of the exchange of gradients between processes. Imports no torch, because the parent process uses it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Exchange:
    """Options of the exchange for all backends.

    Parameters
    ----------
    compression : str
        ``none``, or ``fp16`` for gradients that are rounded to 16 bits. It changes results, so it belongs to the
        settings.
    fusion_mb : float or None
        MiB of gradients in one message: Horovod's fusion threshold, DDP's bucket; None for the backend's default.
    cycle_ms : float
        Horovod only: time between two checks for gradients that are ready. Each check communicates between all
        processes and occupies a core. If all cores compute, frequent checks cost a third of the throughput
        (results/published/scaling). With a GPU a shorter cycle is better; Horovod's default is 1 ms.
    """

    compression: str = "none"
    fusion_mb: float | None = None
    cycle_ms: float = 25.0
