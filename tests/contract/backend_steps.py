"""Training steps as one process of a launcher; process 0 writes the gradients and weights that come out.

Usage: backend_steps.py LAUNCHER NODES OUTPUT
"""

import os
import sys
from dataclasses import replace

import torch
from torch import nn
from torch.amp import GradScaler

from voxnas.io.weights import save_weights
from voxnas.training.distributed.exchange import Exchange
from voxnas.training.distributed.launch import join_backend
from voxnas.training.gradients import Gradients
from voxnas.training.lamb import LAMB
from voxnas.training.lars import LARS
from voxnas.training.muon import Muon
from voxnas.training.steps.supervised import Supervised

STEPS = 4
SCALE = 2.0**10
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
    "muon": lambda parameters: Muon(parameters, lr=0.01),
    "lars": lambda parameters: LARS(parameters, lr=0.1, trust=0.1),
    "lamb": lambda parameters: LAMB(parameters, lr=0.01),
}
# Optimizer, global batch, and what differs from an equal share in one part, in float32.
CASES = {
    "sgd-2": ("sgd", 2, {}),
    "adamw-3": ("adamw", 3, {}),
    "sgd-1": ("sgd", 1, {}),
    "lars": ("lars", 4, {}),
    "lamb": ("lamb", 4, {}),
    "unequal": ("sgd", 7, {"speeds": (1.0, 3.0, 1.5)}),
    "idle": ("sgd", 3, {"speeds": (100.0, 1.0, 1.0)}),
    "parts": ("sgd", 7, {"micro_batch": 2}),
    "unequal-parts": ("adamw", 7, {"micro_batch": 1, "speeds": (1.0, 3.0, 1.5)}),
    "bf16": ("sgd", 4, {"precision": "bf16"}),
    "fp16": ("sgd", 4, {"precision": "fp16"}),
    "fp16-parts": ("sgd", 5, {"precision": "fp16", "micro_batch": 1}),
    "compressed": ("sgd", 4, {"compression": "fp16"}),
    "sampled": ("adamw", 4, {"sampled": True}),
}


class Sampled(nn.Sequential):
    """A network whose last module is an operation that no pass has sampled."""

    mixes = True

    def forward(self, x):
        for module in self[:-1]:
            x = module(x)
        return x


class Case:
    """A fresh network with its optimizer, as a training has them."""

    def __init__(
        self,
        backend,
        optimizer,
        batch,
        speeds=(),
        micro_batch=0,
        precision="float32",
        compression="none",
        sampled=False,
    ):
        # Each process starts from weights of its own: prepare must give all those of process 0.
        torch.manual_seed(backend.rank)
        # No bias before a norm: its gradient is rounding noise, which AdamW would blow up.
        convolution = nn.Conv3d(1, 4, 3, padding=1, bias=False)
        self.network = nn.Sequential(convolution, nn.InstanceNorm3d(4, affine=True), nn.Conv3d(4, 2, 1))
        if sampled:
            self.network = Sampled(*self.network, nn.Conv3d(2, 2, 1))
        self.network.to(backend.device)
        backend.exchange = replace(getattr(backend, "exchange", Exchange()), compression=compression)
        backend.speeds = speeds[: backend.size]
        model, self.optimizer = backend.prepare(self.network, OPTIMIZERS[optimizer](self.network.parameters()))
        self.scaler = GradScaler(backend.device.type, init_scale=SCALE, enabled=precision == "fp16")
        self.compute = Gradients(model, backend, self.scaler, Supervised("dice_ce").loss, precision, micro_batch)
        self.backend, self.batch = backend, batch
        self.generator = torch.Generator().manual_seed(5)

    def gradients(self, factor=1.0):
        """Gradients of the next batch; another step of this process."""
        images, labels, weight = self.next_batch()
        return self.compute(images, labels, factor * weight)

    def gradients_of(self, alpha):
        """Gradient of the next batch with respect to a factor of the logits."""
        (found,) = self.compute.of([alpha], lambda x: alpha * self.network(x), *self.next_batch())
        return found

    def next_batch(self):
        """This process's share of images and labels, and its weight."""
        images = torch.randn(self.batch, 1, 4, 4, 4, generator=self.generator)
        labels = torch.randint(0, 2, (self.batch, 4, 4, 4), generator=self.generator)
        mine = list(self.backend.share(range(self.batch)))
        return images[mine or [0]], labels[mine or [0]], len(mine) / self.batch


def main(launcher: str, nodes: str, output: str) -> None:
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    # Seven bytes travel together at most: as many messages as there are tensors.
    exchange = Exchange(fusion_mb=7 / 2**20, cycle_ms=0.2)
    backend = join_backend(launcher, exchange, int(nodes))
    assert launcher != "horovod" or os.environ["HOROVOD_FUSION_THRESHOLD"] == "7"
    assert launcher != "horovod" or os.environ["HOROVOD_CYCLE_TIME"] == "0.2"
    found = {}
    for name, (optimizer, batch, options) in CASES.items():
        case = Case(backend, optimizer, batch, **options)
        loss = case.gradients()
        with backend.complete(case.optimizer):
            case.scaler.unscale_(case.optimizer)
            for key, parameter in case.network.named_parameters():
                assert (parameter.grad is None) == (name == "sampled" and key.startswith("3."))
                if parameter.grad is not None:
                    found[f"{name}/gradient/{key}"] = parameter.grad.clone()
        case.optimizer.zero_grad()
        found[f"{name}/loss"] = backend.sum(loss)
        case = Case(backend, optimizer, batch, **options)
        for _ in range(STEPS):
            case.gradients()
            backend.step(case.optimizer, 0.01, case.scaler)  # far below the gradients' norm
        assert launcher != "ddp" or case.compute.model.bucket_bytes_cap == 7
        drift = torch.stack([p.detach().double().sum() for p in case.network.parameters()])
        found.update({f"{name}/weights/{key}": value for key, value in case.network.state_dict().items()})
        found[f"{name}/spread"] = (backend.sum(drift) - backend.size * drift).abs().max()
    # The last process alone has a gradient that is not finite: all of them leave their weights as they are.
    case = Case(backend, "sgd", 3, precision="fp16")
    before = [p.detach().clone() for p in case.network.parameters()]
    case.gradients(float("inf") if backend.rank == backend.size - 1 else 1.0)
    backend.step(case.optimizer, 0.5, case.scaler)
    moved = [(a - b).abs().max() for a, b in zip(before, case.network.parameters(), strict=True)]
    found["overflow/moved"] = backend.sum(torch.stack(moved).max().detach())
    found["overflow/scale"] = backend.sum(torch.tensor(case.scaler.get_scale())) / backend.size
    # Gradients of a parameter that the backend does not exchange.
    case = Case(backend, "sgd", 7, micro_batch=2, speeds=(1.0, 3.0, 1.5))
    alpha = nn.Parameter(torch.tensor([0.5], device=backend.device))
    found["alpha/gradient/alpha"] = case.gradients_of(alpha)
    assert all(p.grad is None for p in case.network.parameters())
    total = backend.sum(torch.tensor([1.0, backend.rank], dtype=torch.float64))
    found["sum"] = total - torch.tensor([backend.size, backend.size * (backend.size - 1) / 2])
    if backend.rank == 0:
        save_weights(output, found)
    backend.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
