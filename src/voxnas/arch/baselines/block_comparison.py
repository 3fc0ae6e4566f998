"""Networks that differ only in their blocks, for studies of efficiency.

All have the same widths and the same recipe. One registered block takes every place but the stem, a plain convolution,
so that differences in score or cost are due to the block. Blocks of third-party packages take part too.
"""

from functools import partial
from typing import Any

from voxnas.arch.baselines.base import BASELINES, VECTOR, Baseline, Pair, vector_loss
from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.unet import UNet
from voxnas.arch.primitives.base import PRIMITIVES, blocks
from voxnas.arch.stages import stage_fields, usable_stages
from voxnas.core.architecture import Recipe
from voxnas.core.plan import Plan
from voxnas.core.settings import LimitSettings
from voxnas.core.spec import BLOCK_PREFIX

STAGES = 4
UNET_WIDTH, CNN_WIDTH = 8, 16  # of the first stage; the width doubles from stage to stage
BLOCKS, DECODER_BLOCKS = (1, 2, 2, 2), (1, 1, 2)  # of each stage from the top; the first is the stem
EXPANSION = 4  # of the blocks with an expansion

# AdamW in one cycle tolerates a wide range of learning rates; the recipe is tuned for no block.
RECIPE = {
    "optimizer": "adamw",
    "learning_rate": 1e-2,
    "weight_decay": 1e-2,
    "schedule": "onecycle",
    "spatial": 0.3,
    "intensity": 0.3,
    "mirror": "none",
}


def compared_blocks() -> list[str]:
    """Names of the compared blocks, sorted."""
    return [name for name in blocks() if not PRIMITIVES[name].constant]


def _network_of(block: str, plan: Plan, limits: LimitSettings) -> Pair:
    """The network of a plan's task with this block; max pooling precedes each block, and the limits have no effect."""
    stages, segmentation = min(STAGES, usable_stages(plan)), plan.task == "segmentation"
    base = UNET_WIDTH if segmentation else CNN_WIDTH
    shared: dict[str, Any] = {
        **stage_fields(plan, stages),
        "widths": [base * 2**i for i in range(stages)],
        "blocks": BLOCKS[:stages],
        "block": ["plain"] + [block] * (stages - 1),
        "expansion": EXPANSION,
        "norm": "instance",
        "activation": "leaky_relu",
        "downsample": "max",
    }
    loss = "dice_ce" if segmentation else vector_loss(plan.task)
    recipe = Recipe.model_validate({**RECIPE, "loss": loss})
    if not segmentation:
        return CNN(**shared), recipe
    return UNet(**shared, decoder_block=[block] * (stages - 1), decoder_blocks=DECODER_BLOCKS[-(stages - 1) :]), recipe


def _baselines() -> dict[str, Baseline]:
    tasks = ("segmentation", *VECTOR)
    return {
        f"{BLOCK_PREFIX}{block}": Baseline(partial(_network_of, block), tasks, scaled=False, reference=False)
        for block in compared_blocks()
    }


BASELINES.add_later(_baselines)
