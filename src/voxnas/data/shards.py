"""Writer of preprocessed scans: row r of scans.tsv belongs to shard ``r % shards``."""

from pathlib import Path

import pandas as pd
from safetensors.numpy import save_file

from voxnas.core.errors import ScanError, UserError
from voxnas.core.plan import VolumePlan
from voxnas.data.preprocess import preprocess_scan
from voxnas.io.records import write_json
from voxnas.io.tables import read_table
from voxnas.io.tensors import saving


def write_shard(plan: VolumePlan, index: str | Path, shard: int, shards: int, output: str | Path) -> None:
    """Preprocess the scans of one shard.

    Parameters
    ----------
    plan : VolumePlan
    index : path
        Folder with scans.tsv.
    shard, shards : int
        Number of this shard, from 0, and number of shards.
    output : path
        File with the tensors ``<scan>/image`` and ``<scan>/label``; the records of the scans
        (geometry, target) are written beside it as ``.json``.

    Raises
    ------
    UserError
        If the shard does not exist.
    ScanError
        If a scan cannot be preprocessed; names the scan.
    """
    if not 0 <= shard < shards:
        raise UserError(f"there is no shard {shard} of {shards}", f"choose 0 to {shards - 1}")
    output = Path(output)
    scans = read_table(Path(index) / "scans.tsv", dict.fromkeys(("scan", "image", "label", "target"), str))
    arrays, records = {}, {}
    for row in scans.iloc[shard::shards].to_dict("records"):
        scan = row["scan"]
        label = row["label"] if plan.task == "segmentation" else None
        try:
            prepared = preprocess_scan(row["image"].split(";"), label, plan)
        except ScanError as error:
            raise ScanError(f"scan {scan!r}: {error.what}", error.remedy or "remove it from the data set") from None
        arrays[f"{scan}/image"] = prepared.image
        if prepared.label is not None:
            arrays[f"{scan}/label"] = prepared.label
        target = None if pd.isna(row["target"]) else row["target"]
        records[scan] = {"geometry": prepared.geometry, "target": target}
    with saving(output) as temporary:
        save_file(arrays, temporary)
    write_json(output.with_suffix(".json"), records)
