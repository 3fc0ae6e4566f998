"""Preparation of a labelled data set for a packaged model: index, preprocessing and targets, as in its study."""

from pathlib import Path
from typing import Any

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.settings import DataSettings, validated
from voxnas.core.splits import Splits
from voxnas.data.index import Index, dataset_root, find_layout, index_dataset
from voxnas.data.index_files import write_index
from voxnas.deploy.package import ModelRecord
from voxnas.io.records import write_json


def reading_settings(record: ModelRecord, data: Path, changes: dict[str, Any]) -> DataSettings:
    """Return the settings for reading a data set of any layout.

    Parameters
    ----------
    record : ModelRecord
        Content of model.json, with the settings of the study.
    data : path
        Folder of the data set.
    changes : dict
        Settings that replace those of the study.
    """
    same = {"folder": "", "limit": 0, "strict": False, "participant": ""}
    if record.data.layout != "timeseries":
        same["layout"] = "auto"
    settings = validated(
        DataSettings, {**record.data.model_dump(mode="json"), **same, **changes}, "the command line", ("data",)
    )
    if find_layout(dataset_root(data, settings), settings.layout) != "bids":
        settings = settings.model_copy(update={"filters": {}, "images": "", "derivatives": ""})
    return settings


def prepare_labelled(record: ModelRecord, plan: Plan, data: Path, work: Path, changes: dict[str, Any]) -> Index:
    """Index and preprocess a labelled data set as in the study of a model.

    Parameters
    ----------
    record : ModelRecord
        Content of model.json.
    plan : Plan
        Plan of the study.
    data : path
        Folder of the data set, in any layout.
    work : path
        Working folder, which becomes the folder of a study whose single fold holds all scans.
    changes : dict
        Settings of the data set that replace those of the study.

    Returns
    -------
    Index
        The index of the data set.

    Raises
    ------
    UserError
        If no scan can be used, or the data set has labels or classes that the model does not know.
    """
    paths, settings = StudyPaths(work), reading_settings(record, data, changes)
    index = index_dataset(data, plan.task, settings, unit=plan.unit if plan.timed else "run")
    _check_answers(index.dataset, plan)
    write_index(paths.index, index)
    if plan.timed:
        from voxnas.data.fmri.prepare_runs import write_timed_shard
        from voxnas.data.fmri.spatial_shard import write_spatial_shard

        spatial = None
        if record.spatial and index.dataset["layout"] == "bids":
            spatial = paths.preprocess / "spatial" / "0"
            write_spatial_shard(record.spatial, paths.index, 0, 1, spatial)
        write_timed_shard(plan, paths.index, spatial, 0, 1, paths.runs(0))
    else:
        from voxnas.data.shards import write_shard

        write_shard(plan, paths.index, 0, 1, paths.shard(0))
    write_json(paths.plan, plan)
    people = dict(zip(index.scans["scan"], index.scans["participant"], strict=True))
    write_json(paths.splits, Splits(units=people, test=(), folds=(tuple(sorted(people)),)))
    return index


def _check_answers(dataset: dict[str, Any], plan: Plan) -> None:
    """Raise a UserError if the data set has label values or classes that the model cannot predict."""
    kind, known = ("labels", set(plan.labels)) if plan.task == "segmentation" else ("classes", set(plan.classes))
    if unknown := sorted(set(dataset[kind]) - known):
        raise UserError(
            f"the data set has the {kind} {', '.join(unknown)}, which the model does not predict",
            f"the model predicts {', '.join(sorted(known))}",
        )
