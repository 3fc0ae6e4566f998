"""Horovod by gloo or MPI, on GPUs if it was built for them. No other file imports Horovod."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.distributed import TCPStore

from voxnas.core.errors import UserError
from voxnas.nn.device import compute_device
from voxnas.training.distributed.base import Backend, T
from voxnas.training.distributed.exchange import Exchange
from voxnas.training.distributed.slurm import Place

try:
    import horovod.torch as hvd  # type: ignore[import-untyped]
except ImportError as error:
    raise UserError(
        f"Horovod is not installed for this Python and torch ({error})", "build it (see envs/), or use another launcher"
    ) from None


POLL_SECONDS = 5e-4


class HorovodBackend(Backend):
    """One process of ``horovodrun`` or of a Slurm step, on a GPU if Horovod was built for GPUs.

    Parameters
    ----------
    exchange : Exchange
        Compression and fusion of the gradients.
    place : Place or None
        Position of this process in a Slurm step; None under ``horovodrun``, which sets it in the environment.
    controller : str
        ``gloo`` or ``mpi``.

    Raises
    ------
    UserError
        If Horovod was not built for the controller.
    """

    def __init__(self, exchange: Exchange, place: Place | None, controller: str) -> None:
        if not (hvd.mpi_built() if controller == "mpi" else hvd.gloo_built()):
            raise UserError(
                f"this Horovod was built without {controller}",
                f"build Horovod with {controller} (see envs/build_horovod.py), or set another HOROVOD_CONTROLLER",
            )
        if exchange.fusion_mb is not None:
            os.environ["HOROVOD_FUSION_THRESHOLD"] = str(round(exchange.fusion_mb * 2**20))
        os.environ["HOROVOD_CYCLE_TIME"] = str(exchange.cycle_ms)
        if place is not None and controller == "gloo":
            self._rendezvous = _meet(place)
        hvd.init()
        self.exchange = exchange
        self._last: int | None = None
        self.rank, self.size = hvd.rank(), hvd.size()
        gpus = torch.cuda.device_count() if hvd.cuda_built() else 0
        self.device = compute_device(hvd.local_rank()) if hvd.local_size() <= gpus else torch.device("cpu")

    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Broadcast the weights, and sum gradients during the backward pass.

        The state of the optimizer is not broadcast: Horovod would initialise a fresh AdamW by a hidden step with zero
        gradients, which decays the weights. The loop gives all processes the same saved state instead.
        """
        hvd.broadcast_parameters(network.state_dict(), root_rank=0)
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        compression = getattr(hvd.Compression, self.exchange.compression)
        self._optimizer = hvd.DistributedOptimizer(
            optimizer, named_parameters=named, compression=compression, op=hvd.Sum
        )
        return network, self._optimizer

    def part(self, last: bool) -> AbstractContextManager[None]:
        """Exchange gradients only with the last part; processes may have different numbers of parts."""
        self._optimizer.set_backward_passes_per_step(1 if last else 2)
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients; after the last part their exchange is in progress on return."""
        loss.backward()

    @contextmanager
    def complete(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Wait for the sums, so that the step within the context does not wait."""
        self._await_last()
        # Horovod gives zero gradients to the operations that a supernet has not sampled, which AdamW would decay.
        unused = [p for group in optimizer.param_groups for p in group["params"] if p.grad is None]
        optimizer.synchronize()  # type: ignore[attr-defined]
        for parameter in unused:
            parameter.grad = None
        with optimizer.skip_synchronize():  # type: ignore[attr-defined]
            yield

    def begin_sum(self, values: Tensor) -> Callable[[], Tensor]:
        """Begin the sum of `values` (any shape) over all processes."""
        handle = self._last = hvd.allreduce_async(values.to(self.device), op=hvd.Sum, name="values")

        def wait() -> Tensor:
            self._await_last()
            return hvd.synchronize(handle).to(values.device)

        return wait

    def _await_last(self) -> None:
        """Wait for the latest sum by polling, because Horovod's own wait occupies the core that computes the sum."""
        while self._last is not None and not hvd.poll(self._last):
            time.sleep(POLL_SECONDS)
        self._last = None

    def broadcast(self, value: T) -> T:
        """Return the `value` of process 0."""
        # The default name is the type of the value, by which processes with values of other types would wait forever.
        found: T = hvd.broadcast_object(value, root_rank=0, name="broadcast")
        return found

    def close(self) -> None:
        """Shut Horovod down."""
        hvd.shutdown()


def _meet(place: Place) -> tuple[object, ...]:
    """Connect the processes of a Slurm step in place of horovodrun: process 0 serves the rendezvous of gloo.

    Returns
    -------
    tuple
        Objects that must exist as long as processes may use the rendezvous.
    """
    from horovod.runner.common.util.hosts import get_host_assignments, parse_hosts  # type: ignore[import-untyped]
    from horovod.runner.gloo_run import create_slot_env_vars  # type: ignore[import-untyped]
    from horovod.runner.http.http_server import RendezvousServer  # type: ignore[import-untyped]

    plan = get_host_assignments(parse_hosts(",".join(f"{host}:{n}" for host, n in place.hosts)), place.size)
    store = TCPStore(place.address, place.port, place.size, is_master=place.rank == 0)
    server = None
    if place.rank == 0:
        server = RendezvousServer()
        port = server.start()
        server.init(plan)
        store.set("rendezvous", str(port))
    os.environ.update(create_slot_env_vars(plan[place.rank]))
    os.environ.update(
        HOROVOD_GLOO_RENDEZVOUS_ADDR=place.address,
        HOROVOD_GLOO_RENDEZVOUS_PORT=store.get("rendezvous").decode(),
        HOROVOD_CONTROLLER="gloo",
        HOROVOD_CPU_OPERATIONS="gloo",
    )
    return store, server
