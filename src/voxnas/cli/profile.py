"""``voxnas profile``: count and measure the cost of one network."""

import argparse

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--key", required=True, help="key of the network")
    parser.add_argument("--output", required=True, metavar="FILE", help="profile.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Measure and write the record."""
    from voxnas.complexity.profile import profile_network
    from voxnas.core.spec import ProfileSpec, TrainSpec
    from voxnas.core.trial import Network
    from voxnas.io.records import read_plan, read_record, write_json

    paths = arguments.study
    network = read_record(paths.network(arguments.key) / "network.json", Network)
    training = read_record(paths.spec("train"), TrainSpec).training
    repeats = read_record(paths.spec("profile"), ProfileSpec).latency_repeats
    record = profile_network(network.architecture, read_plan(paths.plan), training, repeats)
    write_json(arguments.output, {"key": network.key, **record})
    step = record["training_step"]
    print(
        f"{network.name}: {record['parameters']:,} parameters, {record['macs']:,} MACs, "
        f"{record['latency']['median_ms']:.1f} ms per patch"
        + (f", {step['median_ms']:.0f} ms per training step" if step else "")
        + f" on {record['device']['processor']}"
    )
