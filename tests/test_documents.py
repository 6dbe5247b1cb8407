"""Documents are read within bounds, and what is wrong with them is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ladle_rt.documents import MAX_BYTES, read_json, read_toml
from ladle_rt.errors import InputError


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
