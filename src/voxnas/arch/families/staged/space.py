"""Spaces of networks in stages, chosen for all stages at once or for each (MnasNet, Tan et al. 2019).

A target with a number, such as ``block.1``, applies to one stage and overrides the target without a number. As in
MnasNet, the choices of a stage are the block with its kernel, expansion and squeeze-and-excitation, the number of
blocks, and the width as a multiple of a reference width; the strides are those of the plan.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from voxnas.arch.families.skeleton import MOST_STAGES, SKELETON, skeleton_fields, skeleton_values
from voxnas.arch.families.space import ALWAYS, Alternatives, FamilySpace, Structure
from voxnas.arch.families.staged.record import Downsample, Headed, Staged
from voxnas.arch.layers import Size, total
from voxnas.arch.parameters import ValueSet, integers, numbers, odd
from voxnas.arch.primitives.base import PRIMITIVES, blocks
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.plan import Plan

BOOLEAN: ValueSet = (False, True)


class StagedSpace(FamilySpace):
    """Stages of blocks: the encoder."""

    def domains(self, structure: Structure) -> Mapping[str, ValueSet]:
        """Targets of the encoder, each of one stage or of all."""
        staged: dict[str, ValueSet] = {
            "block": tuple(blocks()),
            "expansion": integers(1, 8),
            "excite": BOOLEAN,
            "kernel": odd(1, 7),
            "blocks": integers(1, 8),
        }
        by_stage = {f"{name}.{i}": domain for name, domain in staged.items() for i in range(MOST_STAGES)}
        widths = {f"width.{i}": numbers(0.125, 8) for i in range(MOST_STAGES)}
        own = {"top_blocks": integers(1, 8), "downsample": get_args(Downsample)}
        return SKELETON | own | staged | by_stage | widths

    def required(self, structure: Structure, given: Collection[str]) -> Mapping[str, Alternatives]:
        """The parameters of all stages, unless each stage has its own; an expansion only where a block takes one."""
        needs = dict.fromkeys((*SKELETON, "downsample"), ALWAYS)
        for name in ("block", "kernel"):
            needs |= each_stage(name, given, range(MOST_STAGES))
        needs |= each_stage("blocks", given, range(1, MOST_STAGES)) | _expansions(given)
        return needs | self._top(given)

    def _top(self, given: Collection[str]) -> dict[str, Alternatives]:
        """The number of blocks at full resolution: one for the encoder and the decoder, or one each."""
        own = [name for name in ("blocks.0", "decoder_blocks.0") if name in self.domains({})]
        shared = "top_blocks" in given or not all(name in given for name in own)
        return dict.fromkeys(["top_blocks"] if shared else own, ALWAYS)

    def encoder(self, values: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
        """Fields of the record, without stages that the plan's patch does not allow."""
        fields = skeleton_fields(values, plan)
        stages = range(len(fields["widths"]))
        sides = [pick(values, "kernel", i) for i in stages]
        return fields | {
            "blocks": [count_blocks(values, "blocks", i) for i in stages],
            "kernels": [
                [1 if k == 1 else side for k in kernel] for kernel, side in zip(fields["kernels"], sides, strict=True)
            ],
            "block": [pick(values, "block", i) for i in stages],
            "expansion": [pick(values, "expansion", i, 1) for i in stages],
            "excite": [pick(values, "excite", i, False) for i in stages],
            "downsample": values["downsample"],
        }

    def values(self, structure: Structure, architecture: ArchitectureRecord) -> Mapping[str, Any]:
        """The choices of a network in stages; of another architecture nothing is known."""
        if not isinstance(architecture, Staged):
            return {}
        wanted = architecture.plain() | skeleton_values(architecture) | {"top_blocks": architecture.blocks[0]}
        if isinstance(architecture, Headed):
            wanted["head_grid"] = max(architecture.head_grid)
        kernels = [max(kernel) for kernel in architecture.kernels]
        for name in ("block", "expansion", "excite", "blocks"):
            wanted |= by_stage(name, getattr(architecture, name))
        wanted |= by_stage("kernel", kernels) | {"kernel": kernels[0]}
        for i, width in enumerate(architecture.widths):
            wanted[f"width.{i}"] = width / (wanted["base_width"] * min(wanted["growth"] ** i, wanted["widest"]))
        return wanted


class HeadedSpace(StagedSpace):
    """Stages with one output for a scan: the encoder and a head."""

    tasks = ("classification", "regression")

    def domains(self, structure: Structure) -> Mapping[str, ValueSet]:
        """Targets of the encoder and of the head."""
        head = {"head_width": integers(0, 1024), "head_grid": integers(1, 64), "dropout": numbers(0, 0.9)}
        return {**super().domains(structure), **head}

    def required(self, structure: Structure, given: Collection[str]) -> Mapping[str, Alternatives]:
        """Required targets of the encoder and of the head."""
        return {**super().required(structure, given), "head_width": ALWAYS, "dropout": ALWAYS}

    def head(self, values: Mapping[str, Any], plan: Plan, strides: Sequence[Size]) -> dict[str, Any]:
        """Fields of the head; of a grid each axis has places in proportion to the map, and no more than that has."""
        final = [n // s for n, s in zip(plan.patch, total(strides), strict=True)]
        places = int(values.get("head_grid", 1))
        grid = [min(n, max(1, round(places * n / max(final)))) for n in final]
        return {"head_width": values["head_width"], "head_grid": grid, "dropout": values["dropout"]}


def pick(values: Mapping[str, Any], name: str, stage: int, otherwise: Any = None) -> Any:
    """The value of a name for one stage: its own, else that for all."""
    own = values.get(f"{name}.{stage}")
    return values.get(name, otherwise) if own is None else own


def count_blocks(values: Mapping[str, Any], name: str, stage: int) -> int:
    """Blocks of a stage under a name: its own, else ``top_blocks`` at full resolution and that for all elsewhere."""
    return int(values.get(f"{name}.{stage}", values.get("top_blocks" if stage == 0 else name, 1)))


def by_stage(name: str, entries: Collection[Any]) -> dict[str, Any]:
    """Values of a name by stage; that for all is the last's, for stages differ most at the top."""
    found = {f"{name}.{i}": entry for i, entry in enumerate(entries)}
    return found | {name: found[f"{name}.{len(found) - 1}"]}


def _deeper_than(stage: int) -> dict[str, tuple]:
    """The condition that a network has a stage."""
    return {"stages": tuple(range(stage + 1, MOST_STAGES + 1))}


def each_stage(name: str, given: Collection[str], stages: range, further: int = 0) -> dict[str, Alternatives]:
    """Either the name for all stages or, where the file has any, that of each stage.

    A stage needs its own where the network has it and `further` stages below it, as a decoder stage has.
    """
    own = [f"{name}.{i}" for i in stages]
    if name in given or not any(target in given for target in own):
        return {name: ALWAYS}
    return {target: (_deeper_than(i + further),) for target, i in zip(own, stages, strict=True)}


def _expansions(given: Collection[str]) -> dict[str, Alternatives]:
    """An expansion wherever a block takes one, for each stage or for all."""
    expanding = tuple(name for name in blocks() if "expansion" in PRIMITIVES[name].options)

    def uses(stage: int) -> Iterator[dict[str, tuple]]:
        for side, further in (("block", 0), ("decoder_block", 1)):
            own = f"{side}.{stage}"
            yield _deeper_than(stage + further) | {own if own in given else side: expanding}

    if "expansion" in given or not any(f"expansion.{i}" in given for i in range(MOST_STAGES)):
        return {"expansion": tuple(use for i in range(MOST_STAGES) for use in uses(i))}
    return {f"expansion.{i}": tuple(uses(i)) for i in range(MOST_STAGES)}
