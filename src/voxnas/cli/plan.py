"""``voxnas plan``: choose voxel size and patch from the fingerprint of the data set."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("--spec", required=True, help="spec/preprocess.json of the study")
    parser.add_argument("--index", required=True, help="folder with scans.tsv and dataset.json")
    parser.add_argument("--splits", required=True, help="splits.json; the scans of the test split are ignored")
    parser.add_argument("--spatial", help="folder preprocess/spatial, if the study has spatial steps")
    parser.add_argument("--output", required=True, help="plan.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the plan."""
    from pathlib import Path

    from voxnas.benchmark.detectable import describe_size
    from voxnas.core.spec import PreprocessSpec
    from voxnas.core.splits import Splits
    from voxnas.data.fingerprint import make_plan
    from voxnas.io.records import read_json, read_record, write_json
    from voxnas.io.tables import read_table

    index = Path(arguments.index)
    columns = {"scan": str, "participant": str, "image": str, "target": str, "channels": int, "frames": int}
    table, splits = read_table(index / "scans.tsv", columns), read_record(arguments.splits, Splits)
    scans = table[table["scan"].isin(list(map(splits.scan_of, splits.development)))]
    spec, dataset = read_record(arguments.spec, PreprocessSpec), read_json(index / "dataset.json")
    if spec.clips:
        from voxnas.data.fmri.plan import make_timed_plan
        from voxnas.data.stimuli import describe_delay

        plan = make_timed_plan(spec, scans, dataset, arguments.spatial)
        if plan.clip.delay is not None and plan.unit == "volume":
            print(describe_delay(scans["events"].dropna().unique(), plan.clip.delay))
        write_json(arguments.output, plan)
    else:
        write_json(arguments.output, make_plan(spec, scans, dataset))
    for sentence in describe_size(table, splits, spec.task, dataset["identified"]):
        print(sentence)
