"""Spaces of networks on clips: the encoder of a macro space, operators along time in each stage, a head over time."""

from collections.abc import Collection, Mapping
from typing import Any, get_args

from voxnas.arch.families.clip.record import Clip, TimeHead, TimeOperator
from voxnas.arch.families.skeleton import MOST_STAGES
from voxnas.arch.families.space import ALWAYS, Alternatives, Structure
from voxnas.arch.families.staged.space import HeadedSpace
from voxnas.arch.parameters import ValueSet, integers, numbers, odd
from voxnas.arch.primitives.base import blocks
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.plan import Plan

WITH_STATE = ("gru", "tcn")  # heads that have a width


class ClipSpace(HeadedSpace):
    """Networks on clips, (T, C, D, H, W), for classification and regression.

    Beside the targets of a CNN: `temporal` and `time_stride` (of one stage or of all), `time_kernel`, `threshold`
    (of the block `time_difference`), `time_head` and `time_width`. A stage without `temporal` sees its frames one
    by one.
    """

    name = "clip"
    views = ("clips",)

    def domains(self, structure: Structure) -> Mapping[str, ValueSet]:
        """Targets of a CNN, with temporal blocks, and targets of the operators along time."""
        found = dict(super().domains(structure))
        staged: dict[str, ValueSet] = {
            "block": tuple(blocks(temporal=True)),
            "temporal": get_args(TimeOperator),
            "time_stride": integers(1, 8),
        }
        found |= staged | {f"{name}.{i}": domain for name, domain in staged.items() for i in range(MOST_STAGES)}
        return found | {
            "time_kernel": odd(1, 15),
            "threshold": numbers(0, 10),
            "time_head": get_args(TimeHead),
            "time_width": integers(1, 1024),
        }

    def required(self, structure: Structure, given: Collection[str]) -> Mapping[str, Alternatives]:
        """Required targets of a CNN and of the head over time."""
        head = {"time_head": ALWAYS, "time_width": ({"time_head": WITH_STATE},)}
        return {**super().required(structure, given), **head}

    def decode(self, structure: Structure, values: Mapping[str, Any], plan: Plan) -> Clip:
        """Return the record, with neutral values for choices without effect."""
        encoder = self.encoder(values, plan)

        def staged(name: str, otherwise: Any) -> list[Any]:
            shared = values.get(name, otherwise)
            return [values.get(f"{name}.{i}", shared) for i in range(len(encoder["widths"]))]

        usual = {name: Clip.model_fields[name].default for name in ("time_kernel", "threshold", "time_width")}
        return Clip(
            **encoder,
            temporal=staged("temporal", "none"),
            time_strides=staged("time_stride", 1),
            **{name: values.get(name, default) for name, default in usual.items()},
            time_head=values["time_head"],
            **self.head(values, plan, encoder["strides"]),
        )

    def values(self, structure: Structure, architecture: ArchitectureRecord) -> Mapping[str, Any]:
        """Choices of the encoder and of the operators along time; a CNN averages its frames."""
        wanted = dict(super().values(structure, architecture))
        if not isinstance(architecture, Clip):
            apart = dict.fromkeys(("temporal", *(f"temporal.{i}" for i in range(MOST_STAGES))), "none")
            return wanted | apart | {"time_head": "mean"}
        for name, entries in (("temporal", architecture.temporal), ("time_stride", architecture.time_strides)):
            wanted |= {f"{name}.{i}": entry for i, entry in enumerate(entries)} | {name: entries[-1]}
        return wanted
