"""Date, place, camera and chapters go along where the container can; what cannot is named."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ladle_rt.config import VideoEncoding
from ladle_rt.frames import Frame, MediaPart, Picture, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.media_tags import _once
from ladle_rt.sinks.video_sink import Publish, VideoSink

TAGS = {
    "creation_time": "2024-05-06T07:08:09.000000Z",
    "location": "+50.0000+008.0000/",
    "make": "ACME",
    "comment": "flight 7",
}
CHAPTERS = [
    {"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "a"}},
    {"id": 2, "start": 400, "end": 800, "time_base": Fraction(1, 1000), "metadata": {"title": "b"}},
]


def picture(number: int) -> TranslatedFrame:
    data = np.full((72, 64), 100 + number, np.uint8)
    frame = Frame(data[:48], number, number, number, Fraction(1, 25))
    return TranslatedFrame(frame, Picture("yuv420p", data, 64, 48))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp4"
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(TAGS)
        if not hasattr(container, "set_chapters"):
            pytest.skip("this PyAV writes no chapters")
        container.set_chapters(CHAPTERS)
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(picture(number).picture.data, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def carried(
    media: MediaPart, target: Path, publish: Publish = "whole"
) -> tuple[dict[str, str], list[Any]]:
    encoding = VideoEncoding(preset=None if target.suffix == ".webm" else "ultrafast")
    context = SinkContext(64, 48, Fraction(25), Fraction(1, 25), encoding=encoding, media=media)
    sink = VideoSink(target, context, publish)
    for number in range(20):
        sink.write(picture(number))
    sink.close()
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20
        return {key.lower(): _once(value) for key, value in container.metadata.items()}, [
            (chapter["metadata"]["title"], chapter["start"] * chapter["time_base"])
            for chapter in container.chapters()
        ]


@pytest.mark.parametrize(
    ("name", "publish"),
    [
        ("out.mp4", "whole"),
        ("out.mov", "whole"),
        ("out.mkv", "whole"),
        ("out.mkv", "growing"),
        ("out.mp4", "growing"),
    ],
)
def test_tags_and_chapters_go_along(
    clip: Path, name: str, publish: Publish, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        tags, chapters = carried(MediaPart(clip), tmp_path / name, publish)
    assert {key: tags[key].replace("09Z", "09.000000Z") for key in TAGS} == TAGS
    if publish == "whole":
        assert chapters == [("a", 0), ("b", Fraction(2, 5))]
        assert "not" not in caplog.text
    elif not chapters:
        assert "chapters cannot be kept" in caplog.text


def test_what_a_container_cannot_keep_is_named(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        carried(MediaPart(clip), tmp_path / "out.avi")
    lost = next(record.message for record in caplog.records if "cannot be kept" in record.message)
    assert lost == "in.mp4: creation_time, location, make, chapters cannot be kept in avi"


def test_chapters_are_cut_with_the_video(clip: Path, tmp_path: Path) -> None:
    part = MediaPart(clip, Fraction(1, 2), Fraction(0), Fraction(1, 5))
    _, chapters = carried(part, tmp_path / "out.mkv")
    assert chapters == [("b", 0)]


def test_facts_about_the_old_file_stay_with_it(clip: Path, tmp_path: Path) -> None:
    tags, _ = carried(MediaPart(clip), tmp_path / "out.mkv")
    assert not {"major_brand", "compatible_brands", "location-eng"} & tags.keys()
