"""Hostile files, generated: an index ends with a result or a UserError that names the file, in bounded memory."""

import gzip
import json
import resource
import struct

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings
from voxnas.data.bids import read_bids
from voxnas.data.index import index_files, index_layout
from voxnas.data.index_files import read_index, write_index
from voxnas.data.participants import number_or_none, read_participants

FUZZ = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
MEMORY = 300 << 10  # KiB by which an example may raise the largest memory of the process
IMAGE = nib.Nifti1Image(np.random.default_rng(0).integers(1, 99, (5, 6, 7, 3)).astype(np.int16), np.eye(4)).to_bytes()
FIELDS = {name: (kind, offset) for name, (kind, offset, *_) in nib.Nifti1Header.template_dtype.fields.items()}
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 5, 348, 352, 540, 32767, -32768, 2**31 - 1, float("nan"), float("inf"), -1e38, 1e38]),
    st.integers(-(2**15), 2**15),
    st.floats(width=32),
)
TOKENS = st.one_of(
    st.sampled_from(
        ["participant_id", "sub-1", "sub-2", "2", "age", "n/a", "", '"', '"x"', "1_000", "1e999", "nan", " "]
    ),
    st.text(st.characters(exclude_characters="\t\n\r", codec="utf-8"), max_size=8),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.integers(10**300, 10**310), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=8,
)


@pytest.fixture
def memory():
    """Assert that the test does not raise the largest memory of the process by more than the bound."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


def put(data, field, place, value):
    """Store a number in a field of a header, wrapped or cut to the type of the field."""
    kind, offset = FIELDS[field]
    base, shape = kind.subdtype or (kind, (1,))
    at = offset + (place % int(np.prod(shape))) * base.itemsize
    if base.kind == "f":
        data[at : at + 4] = struct.pack("<f", max(-3e38, min(3e38, value)) if abs(value) < np.inf else value)
    else:
        whole = int(value) if np.isfinite(value) else 0
        data[at : at + base.itemsize] = (whole % 256**base.itemsize).to_bytes(base.itemsize, "little")


@FUZZ
@given(
    fields=st.lists(st.tuples(st.sampled_from(sorted(FIELDS)), st.integers(0, 7), NUMBERS), max_size=4),
    flipped=st.lists(st.tuples(st.integers(0, 360), st.integers(0, 255)), max_size=3),
    kept=st.one_of(st.just(len(IMAGE)), st.integers(0, len(IMAGE))),
    packed=st.booleans(),
)
def test_the_header_of_an_image(tmp_path, memory, fields, flipped, kept, packed):
    data = bytearray(IMAGE)
    for field, place, value in fields:
        put(data, field, place, value)
    for position, value in flipped:
        data[position] = value
    path = tmp_path / ("x.nii.gz" if packed else "x.nii")
    path.write_bytes(gzip.compress(data[:kept]) if packed else data[:kept])
    with np.errstate(all="ignore"):
        index = index_files([path])
    assert len(index.scans) + len(index.excluded) == 1
    assert index.excluded["file"].isin([str(path)]).all() and not index.excluded["reason"].eq("").any()


@FUZZ
@given(
    text=st.one_of(
        st.lists(st.lists(TOKENS, min_size=1, max_size=4), max_size=5).map(
            lambda rows: "\n".join(map("\t".join, [["participant_id", "age", "sex"], *rows])).encode()
        ),
        st.binary(max_size=60),
    )
)
def test_a_table_of_participants(tmp_path, text):
    path = tmp_path / "participants.tsv"
    path.write_bytes(text)
    try:
        rows = read_participants(tmp_path)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return
    lines = [line for line in text.decode("utf-8-sig").replace("\r", "\n").split("\n") if line.strip()]
    assert len(rows) <= len(lines) - 1 or len(lines) == 0
    for row in rows.values():
        number = number_or_none(row.get("age"))
        assert number is None or abs(number) < float("inf")


@FUZZ
@given(
    text=st.one_of(
        st.fixed_dictionaries({"RepetitionTime": JSON}, optional={"VolumeTiming": JSON, "EchoTime": JSON}).map(
            lambda record: json.dumps(record).encode()
        ),
        st.binary(max_size=60),
        st.integers(1, 10**5).map(lambda depth: depth * b"["),
    )
)
def test_a_sidecar(tmp_path, text):
    root = tmp_path / "set"
    for name in ("sub-1", "sub-2"):
        run = root / name / "func" / f"{name}_bold.nii.gz"
        if not run.exists():
            run.parent.mkdir(parents=True)
            run.write_bytes(gzip.compress(IMAGE))
    (root / "sub-1/func/sub-1_bold.json").write_bytes(text)
    options = DataSettings(suffix="bold")
    index = index_layout(read_bids(root, None, options), None, options)
    assert "sub-2" in set(index.scans["scan"]) and len(index.scans) + len(index.excluded) == 2
    times = index.scans["repetition_time"].dropna().astype(float)
    assert ((times > 0) & (times <= 100)).all()
    write_index(tmp_path / "index", index)  # every value of the sidecars can be written
    assert len(read_index(tmp_path / "index").scans) == len(index.scans)
