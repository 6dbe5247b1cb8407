"""Options that several commands share."""

from __future__ import annotations

import click
import pytest

from ladle_rt.cli._options import given, parse_quality, parse_size, translate_settings
from ladle_rt.config import TranslateOptions
from ladle_rt.errors import ConfigError

WHERE = click.Context(click.Command("test")), click.Option(["--size"])


@pytest.mark.parametrize(
    ("word", "size"), [("192x256", (192, 256)), ("64X32", (64, 32)), (None, None)]
)
def test_size_is_height_then_width(word: str | None, size: tuple[int, int] | None) -> None:
    assert parse_size(*WHERE, word) == size


@pytest.mark.parametrize(
    ("word", "quality"),
    [("best", "best"), ("FAST", "fast"), ("512x384", (384, 512)), (None, None)],
)
def test_quality_is_a_word_or_width_then_height(word: str | None, quality: object) -> None:
    assert parse_quality(*WHERE, word) == quality


@pytest.mark.parametrize("word", ["better", "512", "512x0", "x384", ""])
def test_other_qualities_are_refused(word: str) -> None:
    with pytest.raises(click.BadParameter, match="expected fast, balanced, best or WIDTHxHEIGHT"):
        parse_quality(*WHERE, word)


def test_quality_and_size_become_settings() -> None:
    assert translate_settings("best", None, mark=True) == TranslateOptions(
        quality="best", mark=True
    )
    assert translate_settings((384, 512), None) == TranslateOptions(size=(384, 512))
    assert translate_settings(None, (384, 512)) == TranslateOptions(size=(384, 512))
    for quality in ("best", (384, 512)):
        with pytest.raises(ConfigError, match="give one"):
            translate_settings(quality, (384, 512))


def test_only_what_was_given_reaches_the_library() -> None:
    assert given(threads=None, size=(32, 64), mark=False) == {"size": (32, 64), "mark": False}
