"""A few training steps as one process of a launcher; process 0 writes the weights that come out.

Usage: backend_steps.py LAUNCHER OUTPUT
"""

import sys

import torch
from torch import nn

from voxnas.io.weights import save_weights
from voxnas.training.distributed.launch import join_backend

STEPS = 4


def main(launcher: str, output: str) -> None:
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    backend = join_backend(launcher)
    found = {}
    for name, batch in [("sgd", 2), ("adamw", 3), ("sgd", 1)]:
        # Each process starts from weights of its own: prepare must give all those of process 0.
        torch.manual_seed(backend.rank)
        # No bias before a norm: its gradient is rounding noise, which AdamW would blow up.
        convolution = nn.Conv3d(1, 4, 3, padding=1, bias=False)
        network = nn.Sequential(convolution, nn.InstanceNorm3d(4, affine=True), nn.Conv3d(4, 2, 1))
        network.to(backend.device)
        if name == "sgd":
            optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
        else:
            optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
        model, optimizer = backend.prepare(network, optimizer)
        generator = torch.Generator().manual_seed(5)
        for _ in range(STEPS):
            images = torch.randn(batch, 1, 4, 4, 4, generator=generator).to(backend.device)
            mine = backend.share(range(batch))
            outputs = model(images[list(mine or [0])])
            loss = (outputs**2 - outputs).flatten(1).sum(1).mean() * (len(mine) / batch)
            backend.backward(loss)
            backend.step(optimizer, 0.5)  # far below the gradients' norm
        drift = torch.stack([p.detach().double().sum() for p in network.parameters()])
        spread = (backend.sum(drift) - backend.size * drift).abs().max()
        found.update({f"{name}-{batch}/{key}": value for key, value in network.state_dict().items()})
        found[f"{name}-{batch}/spread"] = spread
    total = backend.sum(torch.tensor([1.0, backend.rank], dtype=torch.float64))
    found["sum"] = total - torch.tensor([backend.size, backend.size * (backend.size - 1) / 2])
    if backend.rank == 0:
        save_weights(output, found)
    backend.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
