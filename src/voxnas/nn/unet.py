"""The U-Net family (Cicek et al. 2016; Isensee et al. 2021): encoder, decoder, skips by concatenation."""

from __future__ import annotations

import torch
from torch import nn

from voxnas.core.architecture import UNet
from voxnas.core.layers import supervised_outputs
from voxnas.nn.blocks import ONE, make_chain, make_encoder


class UNetModule(nn.Module):
    """U-Net as described by an architecture.

    The decoder goes up by transposed convolutions whose kernel is the stride, joins the encoder's
    output of the same size, and applies blocks of the same type.

    Parameters
    ----------
    architecture : UNet
        What to build.
    """

    def __init__(self, architecture: UNet) -> None:
        super().__init__()
        widths = architecture.widths
        self.encoder = make_encoder(architecture)
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        for i, blocks in enumerate(architecture.decoder_blocks):
            stride = architecture.strides[i + 1]
            self.up.append(nn.ConvTranspose3d(widths[i + 1], widths[i], stride, stride))
            kinds = [architecture.block] * blocks
            self.decoder.append(make_chain(architecture, kinds, 2 * widths[i], widths[i], architecture.kernels[i], ONE))
        self.heads = nn.ModuleList(
            nn.Conv3d(widths[i], architecture.out_channels, 1) for i in range(supervised_outputs(architecture))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Compute the logits.

        Parameters
        ----------
        x : Tensor, (B, C, D, H, W)
            Images; D, H, W divisible by the architecture's total stride.

        Returns
        -------
        Tensor, (B, K, D, H, W), or a list of such
            Logits of the K classes. While training with deep supervision a list: the full
            resolution first, then those of the lower decoder stages, each at its own size.
        """
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        supervise = self.training and len(self.heads) > 1
        outputs = []
        for i in reversed(range(len(self.decoder))):
            x = self.decoder[i](torch.cat([skips[i], self.up[i](x)], dim=1))
            if supervise and i < len(self.heads):
                outputs.append(self.heads[i](x))
        return outputs[::-1] if supervise else self.heads[0](x)
