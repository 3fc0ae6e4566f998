"""Modules of :mod:`voxnas.arch.primitives.time_pool`."""

from torch import Tensor

from voxnas.nn.ops.base import MODULES, Stateless


@MODULES.register("time_mean")
class TimeMean(Stateless):
    """Mean over the frames."""

    def forward(self, clip: Tensor) -> Tensor:
        """Average a clip (B, T, C, *S) to (B, C, *S)."""
        return clip.mean(1)


@MODULES.register("time_max")
class TimeMax(Stateless):
    """Maximum over the frames."""

    def forward(self, clip: Tensor) -> Tensor:
        """Reduce a clip (B, T, C, *S) to (B, C, *S)."""
        return clip.amax(1)
