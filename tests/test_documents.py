"""Documents are read within bounds, and what is wrong with them is said in one line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladle_rt.documents import MAX_BYTES, parse_json, read_json, read_toml
from ladle_rt.errors import ConfigError, InputError
from ladle_rt.structure import structure


@pytest.mark.parametrize(
    ("read", "text", "told"),
    [
        (read_json, "[" * 200_000, "nested too deeply"),
        (read_json, '{"a": NaN}', "the number NaN, which JSON does not have"),
        (read_json, "{", "Expecting property name"),
        (read_toml, "a = " + "[" * 200_000, "nested too deeply"),
        (read_toml, "a = ", "Invalid value"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    read: object, text: str, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "document"
    path.write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        read(path, "a document", InputError)  # type: ignore[operator]
    assert str(caught.value).startswith(f"{path}: expected a document, received ")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_endless_and_large_files_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/dev/zero: expected .* received no regular file"):
        read_json(Path("/dev/zero"), "a document", InputError)
    large = tmp_path / "large.json"
    with large.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="received 64 MB, more than 64"):
        read_json(large, "a document", InputError)
    with pytest.raises(InputError, match="No such file"):
        read_toml(tmp_path / "absent.toml", "a document", InputError)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)  # fmt: skip


@given(values=PLAIN)
@settings(max_examples=25, deadline=None)
def test_what_json_holds_comes_back(values: object) -> None:
    assert parse_json(json.dumps(values)) == values


@given(values=PLAIN)
@settings(max_examples=60, deadline=None)
def test_no_value_whatever_breaks_the_reader_of_settings(values: object) -> None:
    filled = {"steps": values, "share": values, "sizes": values, "tags": values}
    for given_values in (values, filled):
        said = ""
        try:
            structure(Shape, given_values, "here", ConfigError)
        except ConfigError as error:
            said = str(error)
        assert "\n" not in said and len(said) < 500


@dataclass(frozen=True)
class Shape:
    steps: int = 1
    share: float | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    tags: dict[str, float] = field(default_factory=dict)
