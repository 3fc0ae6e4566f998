"""The record of a model folder for tests, with the digests of the files as they are."""

from voxnas.core.settings import DataSettings
from voxnas.deploy.package import ModelRecord
from voxnas.io.records import file_digest, read_json, write_json


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
