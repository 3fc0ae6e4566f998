"""A training as one process of a launcher, ended early and resumed, of which process 0 alone sees the saved state.

Process 0 writes the samples at the resumption and the spread of the weights, of all processes.

Usage: resumed.py LAUNCHER OUTPUT
"""

import sys
import tempfile
from pathlib import Path

import torch
from throttled import ARCHITECTURE, Noise

from voxnas.core.architecture import Recipe
from voxnas.core.spec import EffectiveTraining
from voxnas.core.training import Fit
from voxnas.io.weights import save_weights
from voxnas.nn.build import build_network
from voxnas.training.distributed.launch import join_backend
from voxnas.training.loop import TrainingContext, fit
from voxnas.training.steps.supervised import Supervised

BATCH, STEPS = 4, 6


def main(launcher: str, output: str) -> None:
    torch.set_num_threads(1)
    backend = join_backend(launcher)
    recipe = Recipe(learning_rate=1e-3)
    job = Fit(architecture=ARCHITECTURE, recipe=recipe, fold=0, seed=0, samples=BATCH * STEPS)
    training = EffectiveTraining(batch_size=BATCH, validations=1, precision="float32")
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:  # of this process, unlike the store of a study
        for stop in (True, False):
            torch.manual_seed(backend.rank)
            network = build_network(ARCHITECTURE)
            context = TrainingContext(Path(folder), should_stop=lambda stop=stop: stop)
            validate = (lambda *_: (0.0, {}), backend, context)
            outcomes.append(fit(network, job, training, Supervised(recipe.loss), Noise(0, 16), *validate))
    assert [outcome.state for outcome in outcomes] == ["INTERRUPTED", "DONE"]
    begun = torch.zeros(backend.size)
    begun[backend.rank] = outcomes[1].resumed_from
    sums = torch.stack([p.detach().double().sum() for p in network.parameters()])
    found = {"begun": backend.sum(begun), "spread": (backend.sum(sums) - backend.size * sums).abs().max()}
    if backend.rank == 0:
        save_weights(output, found)
    backend.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
