"""Networks that differ only in their blocks, for studies of efficiency.

Each is the same small network, of the same widths and trained by the same recipe, with one registered
block in every place but the stem, which is a plain convolution. So a difference in score or cost is the
block's. A block that another package registers takes part like the rest.
"""

from typing import Any

from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.unet import UNet
from voxnas.arch.primitives.base import PRIMITIVES, blocks
from voxnas.core.architecture import Recipe
from voxnas.core.plan import Plan

STAGES = 4
UNET_WIDTH, CNN_WIDTH = 8, 16  # of the first stage; each further one is twice as wide
BLOCKS, DECODER_BLOCKS = (1, 2, 2, 2), (1, 1, 2)  # of each stage from the top; the first is the stem
EXPANSION = 4  # of the blocks that have one

# One recipe for all: AdamW in one cycle is forgiving in its learning rate, and no block has it tuned for itself.
RECIPE = {
    "optimizer": "adamw",
    "learning_rate": 1e-2,
    "weight_decay": 1e-2,
    "schedule": "onecycle",
    "augmentation": 0.3,
    "mirror": "none",
}


def compared_blocks() -> list[str]:
    """The blocks that can be swapped in, sorted."""
    return [name for name in blocks() if not PRIMITIVES[name].constant]


def swapped(block: str, plan: Plan, stages: int, loss: str) -> tuple[UNet | CNN, Recipe]:
    """The network of a plan's task with a block.

    Parameters
    ----------
    block : str
        One of :func:`compared_blocks`. Max pooling goes before it, so that no block's own way to stride is part of it.
    plan : Plan
        The study's plan.
    stages : int
        How many stages the plan allows; at most :data:`STAGES` are used.
    loss : str
        Of the task.
    """
    stages = min(STAGES, stages)
    segmentation = plan.task == "segmentation"
    base = UNET_WIDTH if segmentation else CNN_WIDTH
    shared: dict[str, Any] = {
        "in_channels": plan.channels,
        "out_channels": plan.outputs,
        "widths": [base * 2**i for i in range(stages)],
        "blocks": BLOCKS[:stages],
        "strides": plan.strides[:stages],
        "kernels": plan.kernels[:stages],
        "block": ["plain"] + [block] * (stages - 1),
        "expansion": EXPANSION,
        "norm": "instance",
        "activation": "leaky_relu",
        "downsample": "max",
    }
    recipe = Recipe.model_validate({**RECIPE, "loss": loss})
    if not segmentation:
        return CNN(**shared), recipe
    return UNet(**shared, decoder_block=[block] * (stages - 1), decoder_blocks=DECODER_BLOCKS[-(stages - 1) :]), recipe
