"""Options that several commands share."""

from __future__ import annotations

from typing import get_args

import click
import pytest

from ladle_rt.cli._options import PALETTES, given, translate_settings
from ladle_rt.cli._parameters import parse_agc, parse_quality, parse_size, parse_time
from ladle_rt.config import Isotherm, Palette, TranslateOptions, VideoEncoding
from ladle_rt.errors import ConfigError

WHERE = click.Context(click.Command("test")), click.Option(["--size"])


@pytest.mark.parametrize(
    ("word", "size"), [("256x192", (192, 256)), ("32X64", (64, 32)), (None, None)]
)
def test_size_is_width_then_height(word: str | None, size: tuple[int, int] | None) -> None:
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
    settings = translate_settings(quality="best", mark=True)
    assert settings == TranslateOptions(quality="best", mark=True)
    assert translate_settings(quality=(384, 512)) == TranslateOptions(size=(384, 512))
    assert translate_settings(size=(384, 512)) == TranslateOptions(size=(384, 512))
    for quality in ("best", (384, 512)):
        with pytest.raises(ConfigError, match="give one"):
            translate_settings(quality=quality, size=(384, 512))


def test_only_what_was_given_reaches_the_library() -> None:
    assert given(threads=None, size=(32, 64), mark=False) == {"size": (32, 64), "mark": False}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2", 2), ("2.5", 2.5), ("00:00:02", 2), ("1:30", 90), ("01:02:03.25", 3723.25), (None, None)],
)
def test_times_are_seconds_or_clock_times(text: str | None, seconds: float | None) -> None:
    assert parse_time(*WHERE, text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "soon", "1:75", "1:2:3:4", "nan", "1e3", "1:", ":1"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="or HH:MM:SS such as"):
        parse_time(*WHERE, text)


def test_agc_modes_are_parsed_or_refused() -> None:
    assert parse_agc(*WHERE, "fixed:7000:7400.5") == {"fixed_range": (7000, 7400.5)}
    assert parse_agc(*WHERE, "plateau") == {"agc": "plateau"}
    for text in ("fixed", "fixed:1", "fixed:a:b", "magic", "plateau:3", ""):
        with pytest.raises(click.BadParameter, match="fixed:LOW:HIGH, plateau or clahe, received"):
            parse_agc(*WHERE, text)


def test_an_isotherm_becomes_one_setting() -> None:
    settings = translate_settings(isotherm="37C", isotherm_style="outline")
    assert settings.isotherm == Isotherm(37, "celsius", "outline")
    assert translate_settings().isotherm is None
    with pytest.raises(ConfigError, match="needs an isotherm"):
        translate_settings(isotherm_palette="lava")


def test_encoding_is_one_setting() -> None:
    settings = translate_settings(codec="h265", crf=20)
    assert settings.encoding == VideoEncoding("h265", 20)


def test_the_commands_offer_every_palette() -> None:
    assert get_args(Palette) == PALETTES
