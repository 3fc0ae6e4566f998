"""Hostile settings: every study file is valid, or one line names the file; nothing hangs or grows."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxnas.core.errors import UserError
from voxnas.core.settings import StudySettings, parse_settings
from voxnas.core.study_files import read_study_file

TEXTS = st.one_of(
    st.text(max_size=30), st.sampled_from(["$(touch x)", "../..", "{study}", "~", "", "auto", "\ud800", "a\0b"])
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**9, max_value=10**40), st.floats(), TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.integers(), inner, max_size=3)
)


def keys_of(data: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Path of each key of a mapping, including those of sections."""
    found = []
    for name, value in data.items():
        found.append((*prefix, name))
        if isinstance(value, dict):
            found += keys_of(value, (*prefix, name))
    return found


KEYS = st.sampled_from([*keys_of(StudySettings().model_dump(mode="json")), ("placement", "cpu", "resources", "gres")])


def nested(changes: list[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    """A mapping with these values at these paths."""
    raw: dict[str, Any] = {}
    for (*parents, last), value in changes:
        place = raw
        for parent in parents:
            place = place[parent] if isinstance(place.get(parent), dict) else place.setdefault(parent, {})
            if not isinstance(place, dict):
                break
        else:
            place[last] = value
    return raw


@settings(max_examples=300)
@given(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=3))
def test_any_value_of_any_key_is_valid_or_one_line(changes: list[tuple[tuple[str, ...], Any]]) -> None:
    try:
        parsed = parse_settings(nested(changes), "study.yaml")
    except UserError as error:
        assert str(error).startswith("study.yaml: ") and len(str(error)) < 3000
    else:
        assert parse_settings(parsed.model_dump(mode="json")) == parsed


@settings(max_examples=200)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_content_of_a_study_file_is_valid_or_one_line(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    file.write_bytes(content)
    try:
        parse_settings(read_study_file(file), str(file))
    except UserError as error:
        assert str(file) in str(error)
