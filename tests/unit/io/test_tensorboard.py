"""Event files, read by the reader of TensorBoard."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from voxnas.io.tensorboard import FAILURE, SUCCESS, EventFile


def read(folder):
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def scalars(folder, tag):
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def test_scalars(tmp_path):
    file = EventFile(tmp_path / "run")
    file.scalars(0, {"loss": 2.5, "räte": 1e-30})
    file.scalars(300, {"loss": -0.125})
    file.scalars(2**40, {"loss": float("inf")})
    file.close()
    assert scalars(tmp_path / "run", "loss") == [(0, 2.5), (300, -0.125), (2**40, float("inf"))]
    assert scalars(tmp_path / "run", "räte") == [(0, pytest.approx(1e-30))]


def test_what_is_flushed_can_be_read_while_the_file_is_open(tmp_path):
    file = EventFile(tmp_path)
    file.scalars(1, {"loss": 1.0})
    file.flush()
    assert scalars(tmp_path, "loss") == [(1, 1.0)]
    file.close()


def test_a_restart_takes_back_what_was_written_from_its_step_on(tmp_path):
    first = EventFile(tmp_path)
    for step in (2, 4, 6, 8):
        first.scalars(step, {"loss": float(step)})
    first.close()
    second = EventFile(tmp_path)
    second.restart(6)
    for step in (6, 8):
        second.scalars(step, {"loss": -float(step)})
    second.close()
    assert scalars(tmp_path, "loss") == [(2, 2.0), (4, 4.0), (6, -6.0), (8, -8.0)]


@pytest.mark.parametrize("status", [SUCCESS, FAILURE])
def test_hyperparameters(tmp_path, status):
    file = EventFile(tmp_path)
    file.begin({"norm": "instance", "deep": False, "rate": 0.01, "width": 12, "long": "x" * 300})
    file.end(status)
    file.close()
    accumulator = read(tmp_path)

    def content(tag):
        return accumulator.SummaryMetadata(tag).plugin_data.content

    begun = metadata.parse_session_start_info_plugin_data(content(metadata.SESSION_START_INFO_TAG))
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in begun.hparams.items()}
    assert values == {"norm": "instance", "deep": False, "rate": 0.01, "width": 12.0, "long": "x" * 300}
    ended = metadata.parse_session_end_info_plugin_data(content(metadata.SESSION_END_INFO_TAG))
    assert isinstance(ended, plugin_data_pb2.SessionEndInfo) and ended.status == status
    assert 0 <= ended.end_time_secs - begun.start_time_secs < 60
