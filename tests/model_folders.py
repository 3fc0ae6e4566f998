"""Model folders for tests, with the digests of the files as they are."""

from plans import volume_plan

from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.unet import UNet
from voxnas.core.architecture import Recipe, network_key
from voxnas.core.settings import DataSettings
from voxnas.core.trial import Network
from voxnas.deploy.package import ModelRecord
from voxnas.io.records import file_digest, read_json, write_json

STAGED = {
    "in_channels": 1, "widths": [2, 4], "blocks": [1, 1], "strides": [[1, 1, 1], [2, 2, 2]], "kernels": [[3, 3, 3]] * 2,
}  # fmt: skip


def untrained_model(folder, task, channels=1, labels=("background", "a", "b"), members=2):
    """Write a model folder with untrained weights."""
    import torch

    from voxnas.io.weights import save_weights
    from voxnas.nn.build import build_network

    outputs = {"segmentation": 3, "classification": 2, "regression": 1}[task]
    staged = {**STAGED, "in_channels": channels, "out_channels": outputs}
    architecture = UNet(**staged, decoder_blocks=[1]) if task == "segmentation" else CNN(**staged)
    recipe = Recipe(loss={"segmentation": "dice_ce", "classification": "ce", "regression": "mse"}[task], mirror="all")
    network = Network(
        key=network_key(architecture, recipe), name="best", source="random", architecture=architecture,
        recipe=recipe, samples=1,
    )  # fmt: skip
    write_json(folder / "architecture.json", network)
    answers = {
        "labels": dict(zip(("0", "2", "300"), labels, strict=True)) if task == "segmentation" else {},
        "classes": ["no", "yes"] if task == "classification" else [],
    }
    plan = volume_plan(task, (8, 8, 8), channels=channels, outputs=outputs, spacing=(1.5, 1.5, 1.5), **answers)
    write_json(folder / "plan.json", plan)
    for seed in range(members):
        torch.manual_seed(seed)
        save_weights(folder / f"weights-{seed}.safetensors", build_network(architecture).state_dict())
    return sign_model(folder)


def sign_model(folder, **fields):
    """Write or change model.json, so that it fits the other files of the folder."""
    file = folder / "model.json"
    record = read_json(file) if file.exists() else _usual(folder)
    digests = {other.name: file_digest(other) for other in folder.iterdir() if other != file}
    write_json(file, ModelRecord(**{**record, "digests": digests, **fields}))
    return folder


def _usual(folder):
    network, plan = read_json(folder / "architecture.json"), read_json(folder / "plan.json")
    seeds = sorted(int(file.stem.split("-")[1]) for file in folder.glob("weights-*.safetensors"))
    return {
        "name": network["name"], "key": network["key"], "task": plan["task"], "channels": ["T1w"] * plan["channels"],
        "labels": plan["labels"], "classes": plan["classes"], "members": seeds, "default": seeds[-1], "mirror": False,
        "threads": 1, "precision": "float32", "nsd_tolerance_mm": 1.0, "data": DataSettings(), "study": "test",
        "data_digest": "0", "versions": {},
    }  # fmt: skip
