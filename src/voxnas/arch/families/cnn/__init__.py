"""CNNs for classification and regression: 3D ResNet (Hara et al. 2018) and SFCN (Peng et al. 2021)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.description import Description, Stage
from voxnas.arch.families.space import Structure
from voxnas.arch.families.staged.describe import describe_encoder, summarize
from voxnas.arch.families.staged.graph import add_encoder, begin, pool_map
from voxnas.arch.families.staged.record import Headed
from voxnas.arch.families.staged.space import HeadedSpace
from voxnas.arch.graph import Graph
from voxnas.arch.layers import total
from voxnas.core.plan import Plan


class CNN(Headed):
    """Encoder with global average pooling, for classification and regression.

    With ``block="residual"`` it is a 3D ResNet (Hara et al. 2018). With ``block="plain"``, one block a stage, max
    pooling and a pointwise `head_width` it is an SFCN (Peng et al. 2021).
    """

    family: Literal["cnn"] = "cnn"


class CNNSpace(HeadedSpace):
    """CNNs for classification and regression."""

    name = "cnn"

    def decode(self, structure: Structure, values: Mapping[str, Any], plan: Plan) -> CNN:
        """Return the record."""
        encoder = self.encoder(values, plan)
        return CNN(**encoder, **self.head(values, plan, encoder["strides"]))


@register
class CNNFamily(Family[CNN]):
    """Encoders with global average pooling."""

    record = CNN
    spaces = (CNNSpace(),)

    def graph(self, architecture: CNN) -> Graph:
        """Expand a CNN: encoder, optional pointwise layer, average pooling, dropout, linear layer."""
        graph = begin(architecture)
        at = pool_map(graph, architecture, add_encoder(graph, architecture)[-1])
        dropout = {"dropout": architecture.dropout}
        head = graph.add("linear_head", at, architecture.out_channels, options=dropout, name="head")
        return graph.finish(head, divisor=total(architecture.strides))

    def describe(self, architecture: CNN, size: Sequence[int]) -> Description:
        """Describe the stages of the encoder and the optional pointwise layer, on an input of `size` (D, H, W)."""
        stages = describe_encoder(architecture, size)
        if architecture.head_width:
            stages.append(Stage("head", len(stages), architecture.head_width, 1, "1x1x1", size=stages[-1].size))
        return Description(tuple(stages), summarize(architecture))
