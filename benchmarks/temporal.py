"""Times of the temporal operators, and savings of the temporal difference on synthetic and real BOLD series.

    python benchmarks/temporal.py --output FOLDER --bold SERIES_bold.nii.gz [..]

Three tables, each printed and, with ``--output``, written there:

- ``operators``: every temporal primitive on clips of 4 frames, against the plain 3x3x3 convolution of each frame with
  its norm and activation. The heads run on the vectors after global pooling, as in networks;
- ``unchanged``: `time_difference` on clips of 16 frames in which a share of the tiles does not change, against the same
  convolution of every frame. Changes lie inside tiles, so that they do not affect neighbouring tiles. The first
  frame, which is always computed in full, is included in ``ratio`` and excluded from ``later_frames``;
- ``bold``: the share of tiles that the first layer may skip in a series. Voxels are divided by their standard
  deviation over time, which is therefore the unit of the threshold, and they are held as in `time_difference`. A tile
  is skipped if no voxel in the receptive field of a kernel of 3 changes. ``head`` are tiles with a voxel whose mean is
  above a fifth of the brightest (98th percentile); ``error`` is the root mean square of held minus true values there.

Subject and reference take turns. The tables hold the median of the ratio of consecutive turns (above 1: the subject is
faster) and half its interquartile range. Times are processor times on one thread, without gradient.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from voxnas.arch.graph import GraphBuilder, infer_shapes
from voxnas.arch.primitives.base import PRIMITIVES, Value
from voxnas.io.nifti import load_array
from voxnas.io.tables import write_table
from voxnas.nn.build import initialize
from voxnas.nn.network import Network
from voxnas.nn.ops.tiles import Tiling
from voxnas.nn.ops.time_difference import differs

SIZE, TILE = (40, 56, 40), 8
KERNEL, ONE = (3, 3, 3), (1, 1, 1)
UNCHANGED = ((0.0, 0.0), (0.0, 0.5), (0.0, 0.9), (0.0, 0.99), (0.1, 0.9))  # thresholds, shares of the tiles
THRESHOLDS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
TILES = (1, 2, 4, 8)
Row = dict[str, Value]


def seconds(compute: Callable[[], object]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    compute()
    return time.process_time() - start


def take_turns(rounds: int, *computations: Callable[[], object]) -> list[list[float]]:
    """Times of each computation in each round, after a warm-up round."""
    turns = [[seconds(compute) for compute in computations] for _ in range(rounds + 1)][1:]
    return [list(times) for times in zip(*turns, strict=True)]


def ratio(subject: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Speed-up of the subject: median over the rounds, and half the interquartile range."""
    ratios = [theirs / ours for ours, theirs in zip(subject, reference, strict=True)]
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return round(float(middle), 2), round(float(high - low) / 2, 2)


def network(op: str, channels: int, frames: int, **options: Value) -> tuple[nn.Module, torch.Tensor, int]:
    """A primitive on clips, its input, and its MACs."""
    builder = GraphBuilder(channels, 3, clip=True)
    kernel = KERNEL if PRIMITIVES[op].block else ONE
    graph = builder.finish(builder.add(op, "input", channels, kernel, options=options))
    size = ONE if op in ("time_gru", "time_tcn") else SIZE
    macs = sum(
        layer.macs for shaped in infer_shapes(graph, (frames, *size) if graph.clip else size) for layer in shaped.layers
    )
    module = Network(graph).apply(initialize).eval()
    return module, torch.randn(1, frames, channels, *size), macs


def operators(channels: Sequence[int], rounds: int, frames: int = 4) -> Iterator[Row]:
    """Every temporal primitive against the plain convolution of each frame."""
    for count in channels:
        plain, x, plain_macs = network("plain", count, frames)
        for op in (name for name in PRIMITIVES if PRIMITIVES[name].temporal):
            module, clip, macs = network(op, count, frames)
            ours, theirs = take_turns(rounds, lambda m=module, c=clip: m(c), lambda p=plain, c=x: p(c))
            faster, spread = ratio(ours, theirs)
            yield {
                "operator": op,
                "channels": count,
                "macs_of_plain": round(macs / plain_macs, 4),
                "ms": round(1000 * statistics.median(ours), 2),
                "plain_ms": round(1000 * statistics.median(theirs), 1),
                "ratio": faster,
                "spread": spread,
            }


def changing_clip(channels: int, frames: int, unchanged: float) -> torch.Tensor:
    """A clip in which a random share of the tiles of each frame equals the previous frame."""
    clip = torch.randn(1, 1, channels, *SIZE).repeat(1, frames, 1, 1, 1, 1)
    grid = [n // TILE for n in SIZE]
    tiles = torch.cartesian_prod(*map(torch.arange, grid)).tolist()
    for number in range(1, frames):
        clip[:, number] = clip[:, number - 1]
        for pick in torch.randperm(len(tiles))[: round((1 - unchanged) * len(tiles))].tolist():
            inside = tuple(slice(p * TILE + 1, (p + 1) * TILE - 1) for p in tiles[pick])
            clip[(0, number, ..., *inside)] += 1
    return clip


def unchanged_tiles(channels: Sequence[int], rounds: int, frames: int = 16) -> Iterator[Row]:
    """The temporal difference on clips with an increasing share of unchanged tiles."""
    last = torch.channels_last_3d
    for count, (threshold, share) in itertools.product(channels, UNCHANGED):
        plain, _, _ = network("plain", count, frames)
        block, _, _ = network("time_difference", count, frames, threshold=threshold, tile=TILE)
        inner = block.get_submodule("time_difference")
        weight, clip = inner.conv.weight, changing_clip(count, frames, share)
        by_channel = clip[0].contiguous(memory_format=last), weight.contiguous(memory_format=last)
        computations: list[Callable[[], object]] = [
            functools.partial(inner.convolve_changes, clip),
            functools.partial(F.conv3d, clip[0], weight, padding=1),
            functools.partial(F.conv3d, *by_channel, padding=1),
            functools.partial(block, clip),
            functools.partial(plain, clip),
        ]
        skipping, full, full_last, skipping_block, full_block = take_turns(rounds, *computations)
        later = [(ours - theirs / frames) / (frames - 1) for ours, theirs in zip(skipping, full, strict=True)]
        faster, spread = ratio(skipping, full)
        yield {
            "channels": count,
            "threshold": threshold,
            "unchanged": share,
            "ms_per_frame": round(1000 * statistics.median(skipping) / frames, 2),
            "plain_ms_per_frame": round(1000 * statistics.median(full) / frames, 2),
            "ratio": faster,
            "spread": spread,
            "later_frames": ratio(later, [time / frames for time in full])[0],
            "against_channels_last": ratio(skipping, full_last)[0],
            "whole_block": ratio(skipping_block, full_block)[0],
        }


def bold(paths: Sequence[str]) -> Iterator[Row]:
    """Share of tiles that may be skipped in real series."""
    for path in paths:
        series = load_array(path)[0].transpose(3, 2, 1, 0)
        signal, noise = series.mean(0), series.std(0)
        alive = torch.from_numpy(signal > 0.2 * np.percentile(signal, 98))[None]
        scaled = np.divide(series - signal, noise, out=np.zeros_like(series), where=noise > 0)
        frames = torch.from_numpy(scaled)[:, None, None].unbind(0)
        size = tuple(frames[0].shape[2:])
        tilings = {tile: Tiling(size, KERNEL, ONE, tile) for tile in TILES}
        heads = {tile: tiling.touched(alive) for tile, tiling in tilings.items()}
        for threshold in THRESHOLDS:
            held, errors, still = frames[0], [], []
            skipped: dict[int, list[tuple[float, float]]] = {tile: [] for tile in TILES}
            for frame in frames[1:]:
                changed = differs(frame, held, threshold)
                held = torch.where(changed.unsqueeze(1), frame, held)
                still.append(1 - float(changed[alive].float().mean()))
                errors.append(float((held - frame)[:, 0][alive].square().mean()))
                for tile, tiling in tilings.items():
                    rest = ~tiling.touched(changed)
                    skipped[tile].append((float(rest.float().mean()), float(rest[heads[tile]].float().mean())))
            for tile in TILES:
                everywhere, head = np.mean(skipped[tile], axis=0)
                yield {
                    "series": Path(path).name,
                    "size": "x".join(map(str, reversed(size))),
                    "frames": len(frames),
                    "threshold_sd": threshold,
                    "tile": tile,
                    "skipped": round(float(everywhere), 4),
                    "skipped_head": round(float(head), 4),
                    "held_voxels_head": round(float(np.mean(still)), 4),
                    "error_sd": round(float(np.mean(errors)) ** 0.5, 3),
                }


def main() -> None:
    """Time, count, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bold", nargs="*", default=[], help="4D NIfTI files")
    parser.add_argument("--output", type=Path, help="folder for the tables")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.inference_mode():
        tables = {
            "operators": operators(arguments.channels, arguments.rounds),
            "unchanged": unchanged_tiles(arguments.channels, arguments.rounds),
            "bold": bold(arguments.bold),
        }
        for name, rows in tables.items():
            table = pd.DataFrame(rows)
            if len(table):
                print(f"\n{name}\n{table.to_string(index=False)}", flush=True)
                if arguments.output:
                    write_table(arguments.output / f"{name}.tsv", table)


if __name__ == "__main__":
    main()
