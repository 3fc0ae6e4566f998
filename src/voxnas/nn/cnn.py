"""The CNN family for classification and regression: 3D ResNet (Hara et al. 2018) and SFCN (Peng et al. 2021)."""

from __future__ import annotations

import torch
from torch import nn

from voxnas.core.architecture import CNN
from voxnas.nn.blocks import ONE, ConvNorm, make_encoder


class CNNModule(nn.Module):
    """Encoder, optional pointwise layer, global average pooling, dropout, linear layer.

    Parameters
    ----------
    architecture : CNN
        What to build.
    """

    def __init__(self, architecture: CNN) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*make_encoder(architecture))
        width = architecture.widths[-1]
        self.pointwise: nn.Module = nn.Identity()
        if architecture.head_width:
            self.pointwise = ConvNorm(
                width, architecture.head_width, ONE, ONE, architecture.norm, architecture.activation
            )
            width = architecture.head_width
        self.dropout = nn.Dropout(architecture.dropout)
        self.linear = nn.Linear(width, architecture.out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the logits (classification) or values (regression).

        Parameters
        ----------
        x : Tensor, (B, C, D, H, W)
            Images.

        Returns
        -------
        Tensor, (B, K)
            One row a scan.
        """
        features = self.pointwise(self.encoder(x)).mean(dim=(2, 3, 4))
        return self.linear(self.dropout(features))
