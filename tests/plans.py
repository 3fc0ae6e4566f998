"""Plans, networks, limits and calibrations for tests."""

from pathlib import Path

import yaml

from voxnas.complexity.calibration import identity
from voxnas.core.calibration import Calibration, DeviceCalibration
from voxnas.core.plan import InputView, RunPlan, VolumePlan
from voxnas.core.settings import LimitSettings

SPACES = Path(__file__).parents[1] / "config" / "search_spaces"
HALVED = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
THICK = ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))  # strides for scans with thick slices
LABELS = {"0": "background", "1": "anterior", "2": "posterior"}


def _answers(task):
    outputs = {"segmentation": 3, "classification": 2, "regression": 1}[task]
    labels = LABELS if task == "segmentation" else {}
    classes = ("atrophy", "control") if task == "classification" else ()
    return {"task": task, "outputs": outputs, "labels": labels, "classes": classes}


def volume_plan(task="segmentation", patch=(32, 32, 32), strides=HALVED, **fields):
    """The plan of a study of volumes."""
    usual = {
        **_answers(task), "patch": patch, "strides": strides, "kernels": [(3, 3, 3)] * len(strides), "channels": 1,
        "spacing": (1, 1, 1), "normalize": "zscore", "crop": True,
        "fingerprint": {"median_shape": patch[::-1], "median_spacing": (1, 1, 1), "scans": 8},
    }  # fmt: skip
    return VolumePlan(**{**usual, **fields})


def input_view(patch, channels=1, stages=3, spacing=(4, 4, 4), frames=0):
    """A view of a run; an axis of one voxel is not pooled and has kernels of 1."""
    strides = [(1, 1, 1)] + [tuple(2 if n > 1 else 1 for n in patch)] * (stages - 1)
    kernels = [tuple(3 if n > 1 else 1 for n in patch)] * stages
    return InputView(
        channels=channels, patch=patch, strides=strides, kernels=kernels, spacing=spacing, frames=frames
    )  # fmt: skip


def run_plan(views, task="classification", unit="run", **fields):
    """The plan of a study of time series; its default view is the first."""
    first, default = next(iter(views.items()))
    usual = {
        **_answers(task), **dict(default), "layout": "bids", "unit": unit, "target": "", "grid": None, "atlas": "",
        "clip": {"frames": default.frames or 16}, "regions": (), "bold": {"confounds": ["motion"]},
        "repetition_time": 2.5, "views": views, "view": first,
        "fingerprint": {"median_shape": (16, 16, 8), "median_frames": 120, "shortest": 90, "runs": 12},
    }  # fmt: skip
    return RunPlan(**{**usual, **fields})


def space_file(name):
    """The content of a file of config/search_spaces."""
    return yaml.safe_load((SPACES / f"{name}.yaml").read_text())


def staged(widths, **fields):
    """The fields of a network of stages: halved from stage to stage, kernels of 3, and one block each by default."""
    stages = len(widths)
    usual = {
        "in_channels": 1, "out_channels": 2, "widths": widths, "blocks": [1] * stages,
        "strides": [(1, 1, 1)] + [(2, 2, 2)] * (stages - 1), "kernels": [(3, 3, 3)] * stages,
    }  # fmt: skip
    return usual | fields


def limit(parameters=None, **others):
    """The limits of a search; by default none."""
    return LimitSettings(parameters=parameters, **others)


def changed(plan, **fields):
    """A record with other values of some fields."""
    return type(plan)(**{**dict(plan), **fields})


def calibration(coefficients=None, factors=None, **fields):
    """A calibration whose model of time has these coefficients; of a kind of node with `start_seconds`."""
    time = {"coefficients": coefficients or {}, "factors": factors or {}}
    error = {"median": 0, "largest": 0}
    usual = {
        "batch_size": 2, "validations": 1, "table": {}, "model": {"train_seconds": time, "latency_ms": time},
        "nodes": 0, "device": {},
        "error": {"train_seconds": error, "latency_ms": error}, "bf16": {"in_hardware": False, "train_speedup": 1},
        "memory": {"cuda": False, "bf16": False, "factor": 1, "table": ()}, "seconds": 1,
    }  # fmt: skip
    return (DeviceCalibration if "start_seconds" in fields else Calibration)(**{**usual, **fields})


def measured_network(architecture, patch, train_seconds, latency_ms=3.0):
    """The row of a network in the table of a calibration, by the digest of its architecture."""
    times = {"train_seconds": train_seconds, "latency_ms": latency_ms}
    costs = {"parameters": 1, "macs": 1, "activations": 1}
    return {
        identity(architecture): {"name": "a", "architecture": architecture.plain(), "patch": patch, **times, **costs}
    }
