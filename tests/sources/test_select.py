from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ladle_rt.errors import ConfigError, InputError
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.folder_source import FolderSource
from ladle_rt.sources.pacing import LoopSource, RealtimeSource
from ladle_rt.sources.scene_source import SceneSource
from ladle_rt.sources.select import open_source
from ladle_rt.thermal.scene_reader import ReadOptions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 10):
        image = np.full((6, 8), number * 1000, np.uint16)
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), image)
    return tmp_path


def test_a_folder_in_natural_order(folder: Path) -> None:
    with open_source(str(folder), SourceOptions(fps=50)) as source:
        assert isinstance(source, FolderSource)
        assert (source.info.width, source.info.height, source.info.rate) == (8, 6, 50)
        frames = list(source)
    assert [int(frame.pixels[0, 0]) for frame in frames] == [1000, 2000, 10000]
    assert [frame.time_s for frame in frames] == [0, 0.02, 0.04]


def test_recordings_at_their_own_pace_and_again(folder: Path) -> None:
    with open_source(str(folder), SourceOptions(fps=200, loop=True, realtime=True)) as source:
        assert isinstance(source, RealtimeSource) and source.info.live
        found = [int(frame.pixels[0, 0]) for frame in itertools.islice(source, 7)]
    assert found == [1000, 2000, 10000, 1000, 2000, 10000, 1000]
    with open_source(str(folder), SourceOptions(loop=True)) as source:
        assert isinstance(source, LoopSource) and not source.info.live


def test_the_pattern_is_a_camera() -> None:
    with open_source("synthetic:96x64@90", SourceOptions()) as source:
        assert (source.info.width, source.info.height, source.info.rate) == (96, 64, 90)
        assert source.info.live
        assert len(list(itertools.islice(source, 5))) == 5


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("synthetic:huge", "WIDTHxHEIGHT"),
        ("ftp://user:pa55@h/x", "not a source; expected one of"),
        ("nothing.mp4", "no such file"),
        ("recording:nothing", "no such file"),
        ("/dev/video97", "no such device"),
        ("97", "no such device"),
        ("v4l2:/dev/null", "expected a camera"),
        ("csi:front", "csi:0"),
    ],
)
def test_refusals(spec: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        open_source(spec, SourceOptions())
    assert "pa55" not in str(caught.value)


def test_links_to_cameras_are_known_by_device_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A device node cannot be made without being root: what `stat` says of one is given instead.
    link = tmp_path / "thermal0"
    link.touch()
    real = os.stat

    def stat_of(path: object, *args: object, **kwargs: object) -> object:
        if str(path) != str(link):
            return real(path, *args, **kwargs)  # type: ignore[call-overload]
        return SimpleNamespace(st_mode=stat.S_IFCHR, st_rdev=os.makedev(81, 3))

    monkeypatch.setattr(os, "stat", stat_of)
    with pytest.raises(InputError, match="expected a camera, found something else"):
        open_source(str(link), SourceOptions())


def test_live_sources_are_cropped_and_turned() -> None:
    whole = next(iter(open_source("synthetic:96x64@90", SourceOptions())))
    read = ReadOptions(crop=(8, 4, 40, 30), polarity="black-hot")
    with open_source("synthetic:96x64@90", SourceOptions(read=read)) as source:
        assert (source.info.width, source.info.height) == (40, 30)
        pixels = next(iter(source)).pixels
    assert np.array_equal(pixels, ~whole.pixels[4:34, 8:48])
    read = ReadOptions(crop=(90, 0, 40, 30))
    with pytest.raises(InputError, match="crop within 96x64"):
        open_source("synthetic:96x64@90", SourceOptions(read=read))


@pytest.mark.parametrize(
    ("spec", "read", "said"),
    [
        ("synthetic", ReadOptions(from_palette="auto"), "--from-palette expects"),
        ("recording:nothing", ReadOptions(from_palette="auto"), "--from-palette expects"),
        ("synthetic", ReadOptions(track=1), "track"),
        ("rtsp://user:pa55@localhost:1/x", ReadOptions(track=1), "track"),
        ("v4l2:/dev/null", ReadOptions(track=1), "track"),
        ("recording:nothing", ReadOptions(track=1), "track"),
    ],
)
def test_what_a_source_of_levels_cannot_do_is_refused(
    spec: str, read: ReadOptions, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        open_source(spec, SourceOptions(read=read))
    assert "pa55" not in str(caught.value)


def test_the_beginning_of_a_sequence_is_skipped(folder: Path) -> None:
    options = SourceOptions(fps=10, start_s=0.1, duration_s=0.1)
    for spec in (folder, folder / "frame%d.png"):
        with open_source(str(spec), options) as source:
            assert [int(frame.pixels[0, 0]) for frame in source] == [2000]
    with pytest.raises(ConfigError, match="have a start that can be skipped"):
        open_source("synthetic", options)


def test_the_pattern_is_not_watched_for_loss() -> None:
    with open_source("synthetic:96x64@90", SourceOptions(timeout_s=0.001)) as source:
        assert isinstance(source, SceneSource) and isinstance(source.inner, RealtimeSource)
