"""Search space of CNNs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxnas.arch.families.cnn.record import CNN
from voxnas.arch.families.space import Structure
from voxnas.arch.families.staged.space import HeadedSpace
from voxnas.core.plan import Plan


class CNNSpace(HeadedSpace):
    """CNNs for classification and regression."""

    name = "cnn"

    def decode(self, structure: Structure, values: Mapping[str, Any], plan: Plan) -> CNN:
        """The record."""
        encoder = self.encoder(values, plan)
        return CNN(**encoder, **self.head(values, plan, encoder["strides"]))
