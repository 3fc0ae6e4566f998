"""Prediction for new runs by a model folder: a data set of the study's layout, without targets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import RunPlan
from voxnas.core.splits import Splits
from voxnas.deploy.predict import ModelFolder
from voxnas.deploy.predictor import named_prediction
from voxnas.io.records import read_json, write_json


class Predicted(NamedTuple):
    """A case with its prediction as columns of a table."""

    case: str
    columns: dict[str, Any]


class RunModel(ModelFolder):
    """A model folder whose network reads runs."""

    plan: RunPlan

    def prepare(self, data: Path, work: Path) -> dict[str, str]:
        """Index and preprocess a data set as in the study.

        Parameters
        ----------
        data : path
            Folder of the data set, in the layout of the study.
        work : path
            Working folder, which becomes the folder of a study without targets.

        Returns
        -------
        dict of str to str
            Reason for each run that cannot be predicted.

        Raises
        ------
        UserError
            If the data set has another layout, or no run in it can be read.
        """
        from voxnas.data.fmri.prepare_runs import write_timed_shard
        from voxnas.data.fmri.spatial_shard import write_spatial_shard
        from voxnas.data.index import index_dataset
        from voxnas.data.index_files import write_index

        paths = StudyPaths(work)
        settings = self.record.data.model_copy(update={"folder": "", "limit": 0, "strict": False})
        index = index_dataset(data, None, settings)
        write_index(paths.index, index)
        spatial = None
        if self.record.spatial and self.plan.layout == "bids":
            spatial = paths.preprocess / "spatial" / "0"
            write_spatial_shard(self.record.spatial, paths.index, 0, 1, spatial)
        # Whole runs are prepared, since the cases are selected here and not by events.
        write_timed_shard(self.plan.model_copy(update={"unit": "run"}), paths.index, spatial, 0, 1, paths.runs(0))
        write_json(paths.plan, self.plan)
        records = read_json(paths.runs(0) / "records.json")
        for record in records.values():
            record["labels"] = [""] * int(record["frames"])  # every volume is a case
        write_json(paths.runs(0) / "records.json", records)
        write_json(paths.splits, Splits(test=(), folds=(tuple(sorted(records)),)))
        refused = dict(zip(index.excluded["scan"].astype(str), index.excluded["reason"].astype(str), strict=True))
        return refused | {scan: record["excluded"] for scan, record in records.items() if record["excluded"]}

    def predict(self, work: Path) -> Iterator[Predicted]:
        """Predict every case of a prepared folder: each volume, run or participant, as in the study."""
        from voxnas.data.dataset import StudyData
        from voxnas.data.samples import by_case

        data = StudyData(StudyPaths(work), self.view)
        samples = data.samples(data.development_scans())
        if not samples:
            raise UserError(f"{work}: no run can be predicted", "the reasons are above")
        for case, positions in by_case(samples).items():
            members = self.predictor([data.input(samples[p]) for p in positions])
            yield Predicted(case, named_prediction(np.mean(members, axis=0), self.plan))
