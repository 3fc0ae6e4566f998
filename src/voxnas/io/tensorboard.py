"""TensorBoard event files: scalars by step, and the hyper-parameters of a run for the tab HParams.

The small and stable format is written without a library, since the package tensorboard takes 50 MB and tensorboardX
imports torch. A file is a sequence of records (length, checksum, bytes, checksum), each an ``Event`` in protocol-buffer
encoding. Field numbers are defined in event.proto and summary.proto of TensorFlow and in plugin_data.proto and
api.proto of the plugin. A test reads the files with the reader of TensorBoard.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

PREFIX = "events.out.tfevents"
SUCCESS, FAILURE = 1, 2  # values of Status in api.proto


class EventFile:
    """A new event file in the folder of a run.

    TensorBoard reads the files of a run once, in the order of their names. The names begin with the time of creation,
    so that the newest file comes last.

    Parameters
    ----------
    folder : path
        Folder of one run; its path relative to the log folder is the name of the run.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        seconds, rest = divmod(time.time_ns(), 10**9)
        self._file = open(folder / f"{PREFIX}.{seconds:010d}.{rest:09d}.{socket.gethostname()}", "ab")  # noqa: SIM115
        self._write(_text(3, "brain.Event:2"))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write values of one step by tag; the prefix of a tag before a slash defines its group."""
        summary = b"".join(_message(1, _text(1, tag) + _float(2, value)) for tag, value in values.items())
        self._write(_integer(2, step) + _message(5, summary))

    def restart(self, step: int) -> None:
        """Mark the restart of an interrupted run: earlier values from this step on are discarded."""
        self._write(_integer(2, step) + _message(7, _integer(1, 1)))

    def begin(self, hyperparameters: Mapping[str, str | bool | float]) -> None:
        """Write the hyper-parameters of the run."""
        entries = [_message(1, _text(1, name) + _message(2, _value(value))) for name, value in hyperparameters.items()]
        self._plugin("_hparams_/session_start_info", _message(3, b"".join(entries) + _double(5, time.time())))

    def end(self, status: int) -> None:
        """Write the final status of the run, :data:`SUCCESS` or :data:`FAILURE`."""
        self._plugin("_hparams_/session_end_info", _message(4, _integer(1, status) + _double(2, time.time())))

    def flush(self) -> None:
        """Flush the buffer, so that readers see all values."""
        self._file.flush()

    def close(self) -> None:
        """Flush the buffer and close the file."""
        self._file.close()

    def _plugin(self, tag: str, content: bytes) -> None:
        metadata = _message(1, _text(1, "hparams") + _message(2, content))
        self._write(_message(5, _message(1, _text(1, tag) + _message(9, metadata))))

    def _write(self, event: bytes) -> None:
        event = _double(1, time.time()) + event
        length = struct.pack("<Q", len(event))
        self._file.write(length + _checksum(length) + event + _checksum(event))


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _integer(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _double(field: int, number: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", number)


def _float(field: int, number: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", number)


def _value(value: str | bool | float) -> bytes:
    if isinstance(value, bool):
        return _integer(4, int(value))
    return _text(3, value) if isinstance(value, str) else _double(2, value)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _table()


def _checksum(content: bytes) -> bytes:
    """CRC-32C (Castagnoli) with the mask of TFRecord."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
