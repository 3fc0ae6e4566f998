"""Description of a CNN."""

from collections.abc import Sequence

from voxnas.arch.families.cnn.record import CNN
from voxnas.arch.families.description import Description, Stage
from voxnas.arch.families.staged.describe import encoder_stages, summarize


def describe_cnn(architecture: CNN, size: Sequence[int]) -> Description:
    """The stages of the encoder, and the pointwise layer where there is one, on an input (D, H, W)."""
    stages = encoder_stages(architecture, size)
    if architecture.head_width:
        stages.append(Stage("head", len(stages), architecture.head_width, 1, "1x1x1", size=stages[-1].size))
    return Description(tuple(stages), summarize(architecture))
