"""A short training as one process of a launcher, of which the last one computes everything several times.

Process 0 writes the summed gradients of the last step, the speeds and the final loss.

Usage: throttled.py LAUNCHER OUTPUT
"""

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from voxnas.arch.families.unet import UNet
from voxnas.core.architecture import Recipe
from voxnas.core.spec import EffectiveTraining
from voxnas.core.training import Fit
from voxnas.io.weights import save_weights
from voxnas.nn.build import build_network
from voxnas.training.distributed.launch import join_backend
from voxnas.training.loop import TrainingContext, fit
from voxnas.training.run_options import RunOptions
from voxnas.training.sampling.base import Sampler
from voxnas.training.steps.supervised import Supervised

BATCH, STEPS, TIMES = 8, 8, 3
ARCHITECTURE = UNet(
    in_channels=1,
    out_channels=2,
    widths=[8, 16],
    blocks=[1, 1],
    strides=[[1, 1, 1], [2, 2, 2]],
    kernels=[[3, 3, 3]] * 2,
    decoder_blocks=[1],
)


class Noise(Sampler):
    """Samples of noise."""

    def scan_of(self, sample):
        return "noise"

    def sample(self, sample):
        generator = torch.Generator().manual_seed(sample)
        image = torch.randn(1, 16, 16, 16, generator=generator)
        return image, torch.randint(0, 2, (16, 16, 16), generator=generator)


def slow_down(network: nn.Module) -> None:
    """Let each forward pass take as long as several."""

    def again(module, inputs, output):
        if torch.is_grad_enabled():
            with torch.no_grad():
                for _ in range(3 * TIMES):  # a step is forward and backward, about three forward passes
                    module.forward(*inputs)

    network.register_forward_hook(again)


def main(launcher: str, output: str) -> None:
    torch.set_num_threads(1)
    backend = join_backend(launcher)
    torch.manual_seed(0)
    network = build_network(ARCHITECTURE)
    if backend.rank == backend.size - 1 and backend.size > 1:
        slow_down(network)
    found = {}
    complete = backend.complete

    @contextmanager
    def recording(optimizer):
        with complete(optimizer):
            found.update({f"gradient/{name}": p.grad.clone() for name, p in network.named_parameters()})
            yield

    backend.complete = recording
    # Hardly any step, so that the rounding of the first gradients does not grow into the last.
    recipe = Recipe(learning_rate=1e-9)
    job = Fit(architecture=ARCHITECTURE, recipe=recipe, fold=0, seed=0, samples=BATCH * STEPS)
    training = EffectiveTraining(batch_size=BATCH, validations=1, precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        context = TrainingContext(Path(folder), RunOptions(shares="measured", micro_batch=2))
        outcome = fit(
            network, job, training, Supervised(recipe.loss), Noise(0, 16), lambda *_: (0.0, {}), backend, context
        )
    found["loss"] = torch.tensor(outcome.curve[0]["train_loss"])
    found["speeds"] = torch.tensor(backend.speeds or [0.0])
    found["mine"] = torch.tensor(float(len(backend.share(range(BATCH)))))
    if backend.rank == 0:
        save_weights(Path(output), found)
    backend.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
