"""Options that several commands share."""

from __future__ import annotations

import click
import pytest

from ladle_rt.cli._options import given, parse_size

WHERE = click.Context(click.Command("test")), click.Option(["--size"])


@pytest.mark.parametrize(
    ("word", "size"), [("192x256", (192, 256)), ("64X32", (64, 32)), (None, None)]
)
def test_size_is_height_then_width(word: str | None, size: tuple[int, int] | None) -> None:
    assert parse_size(*WHERE, word) == size


def test_only_what_was_given_reaches_the_library() -> None:
    assert given(threads=None, size=(32, 64), mark=False) == {"size": (32, 64), "mark": False}
