"""``voxnas predict``: apply a model folder to new scans."""

import argparse
import sys
import time
from pathlib import Path

TABLE = "predictions.tsv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--model", required=True, metavar="DIR", help="model folder, results/<study>/model")
    parser.add_argument("--input", required=True, metavar="PATH", help="image, or folder of images")
    parser.add_argument("--output", default="predictions", metavar="DIR", help="folder to write (default: predictions)")
    parser.add_argument(
        "--runtime",
        choices=("auto", "torch", "onnx", "openvino"),
        default="auto",
        help="library that computes the network (default: auto, the fastest installed one with an export in the model)",
    )
    add_prediction_options(parser)


def add_prediction_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of every use of a model folder."""
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist in the output folder")
    parser.add_argument("--ensemble", action="store_true", help="average the predictions of all members of the model")
    parser.add_argument(
        "--mirror",
        action=argparse.BooleanOptionalAction,
        help="average over mirrored copies of each scan, with the axes of the training (default: as in the study, "
        "which may also shift; --no-mirror: one prediction)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Predict all readable scans; list the refused scans on stderr and return status 2 if there are any."""
    import pandas as pd

    from voxnas.core.errors import USER_ERROR, ScanError
    from voxnas.deploy.predict import Model, find_scans, read_model_plan
    from voxnas.io.nifti import header_facts, open_image
    from voxnas.io.replace import prepare_output
    from voxnas.io.tables import write_table

    if read_model_plan(arguments.model).timed:
        return _predict_runs(arguments)
    model = Model(arguments.model, arguments.ensemble, arguments.mirror, arguments.runtime)
    scans, others = find_scans(arguments.input, model.plan.channels)
    output, segmentation = Path(arguments.output), model.plan.task == "segmentation"
    prepare_output(output, [f"{scan}_dseg.nii.gz" for scan in scans] if segmentation else [TABLE], arguments.overwrite)
    rows, refused = [], 0
    for number, (scan, files) in enumerate(scans.items(), 1):
        began = time.monotonic()
        try:
            if segmentation:
                model.segment(files, output / f"{scan}_dseg.nii.gz")
                said = f"{scan}_dseg.nii.gz"
            else:
                rows.append({"scan": scan, **model.describe(files)})
                said = str(rows[-1]["predicted"])
        except ScanError as error:
            refused += 1
            print(f"voxnas predict: refused: {error}", file=sys.stderr, flush=True)
            continue
        for file in files:
            for warning in header_facts(open_image(file)).warnings:
                print(f"voxnas predict: warning: {file}: {warning}", file=sys.stderr, flush=True)
        print(f"{number}/{len(scans)} {scan}: {said} ({time.monotonic() - began:.1f} s)", flush=True)
    if rows:
        write_table(output / TABLE, pd.DataFrame(rows))
    ignored = f", {len(others)} other files ignored" if others else ""
    print(
        f"predicted {len(scans) - refused} of {len(scans)} scans into {output}, {refused} refused{ignored}; "
        f"run-time: {model.runtime}"
    )
    return USER_ERROR if refused else 0


def _predict_runs(arguments: argparse.Namespace) -> int:
    """Predict each volume, run or participant of a data set with a model of a study of time series."""
    import tempfile

    import pandas as pd

    from voxnas.core.errors import USER_ERROR
    from voxnas.deploy.predict_runs import RunModel
    from voxnas.io.replace import prepare_output
    from voxnas.io.tables import write_table

    output = Path(arguments.output)
    model = RunModel(arguments.model, arguments.ensemble, runtime=arguments.runtime)
    prepare_output(output, [TABLE], arguments.overwrite)
    with tempfile.TemporaryDirectory(dir=output, prefix=".runs-") as work:
        refused = model.prepare(Path(arguments.input), Path(work))
        for scan, reason in refused.items():
            print(f"voxnas predict: refused: {scan}: {reason}", file=sys.stderr, flush=True)
        rows = [{"case": found.case, **found.columns} for found in model.predict(Path(work))]
    write_table(output / TABLE, pd.DataFrame(rows))
    print(
        f"predicted {len(rows)} {model.plan.unit}s into {output / TABLE}, {len(refused)} runs refused; "
        f"run-time: {model.runtime}"
    )
    return USER_ERROR if refused else 0
