"""What happens to a picture is the same in ``video``, ``image`` and ``stream``."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ladle_rt.cli import image_command, stream_command, video_command
from ladle_rt.errors import LadleError, OutputError, PartialResultError

OF_A_PICTURE = {"agc", "stripes", "detail", "layout", "palette", "isotherm", "mark", "allow_colour"}
OF_A_VIDEO = {"steady", "dead_pixels", "shutter", "skip_unchanged", "start_s", "duration_s"} | {
    "codec", "crf", "preset", "sound"
}  # fmt: skip
SCENE = np.tile(np.linspace(20, 120, 96, dtype=np.uint8), (64, 1))
SCENE[20:40, 30:60] = 250


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """One second of a ramp with a hot square, with sound."""
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        pictures: Any = container.add_stream("libx264", rate=25, options={"crf": "8"})
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        sound: Any = container.add_stream("aac", rate=48_000)
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(SCENE, "gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        wave = np.sin(np.arange(1024) * 0.1).astype(np.float32)[None] * 0.5
        for number in range(47):
            block = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
            block.sample_rate, block.pts = 48_000, number * 1024
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return path


def last_picture(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        *_, last = container.decode(video=0)
        return last.to_ndarray(format="rgb24").astype(int)


def run(command: Any, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def names(command: Any) -> set[str]:
    return {parameter.name for parameter in command.params}


def test_every_command_has_the_options_that_make_sense() -> None:
    for command in (video_command.command, stream_command.command, image_command.command):
        assert names(command) >= OF_A_PICTURE
    for command in (video_command.command, stream_command.command):
        assert names(command) >= OF_A_VIDEO
    assert not names(image_command.command) & OF_A_VIDEO


def test_the_isotherm_marks_the_hot_square_in_every_command(
    clip: Path, tmp_path: Path, tiny_model: Path
) -> None:
    still = tmp_path / "frame.png"
    cv2.imwrite(str(still), SCENE)
    common = ["--model", tiny_model, "--threads", "1"]

    def pictures(name: str, *flags: str) -> list[np.ndarray]:
        whole, live, folder = (tmp_path / f"{name}{end}" for end in (".mp4", ".mkv", ""))
        results = [
            run(video_command.command, clip, whole, *common, *flags),
            run(stream_command.command, "--device", clip, "--output", live, *common, *flags),
            run(image_command.command, still, "-o", folder, *common, *flags),
        ]
        assert all(result.exit_code == 0 for result in results), results
        png = cv2.imread(str(folder / "frame.png"))[..., ::-1].astype(int)
        return [last_picture(whole), last_picture(live), png]

    plain, marked = pictures("plain"), pictures("marked", "--isotherm", "200")
    for before, after in zip(plain, marked, strict=True):
        changed = np.abs(after - before).max(axis=2)
        assert changed[24:36, 34:56].min() > 25
        assert np.median(changed[44:]) < 8
        # Its hottest colour is nearly white.
        assert after[30, 45].min() > 180


def test_a_damaged_video_is_written_and_exits_with_3(
    shared_data: Path, tmp_path: Path, tiny_model: Path
) -> None:
    damaged = shared_data.parent / "cases" / "slice_damaged.mp4"
    if not damaged.exists():
        pytest.skip("the cases are not beside the development data")
    target = tmp_path / "out.mp4"
    result = run(video_command.command, damaged, target, "--model", tiny_model)
    assert isinstance(result.exception, PartialResultError) and "damaged" in str(result.exception)
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20


def test_tags_of_the_case_are_kept(shared_data: Path, tmp_path: Path, tiny_model: Path) -> None:
    source = shared_data.parent / "cases" / "metadata.mp4"
    if not source.exists():
        pytest.skip("the cases are not beside the development data")
    target = tmp_path / "out.mp4"
    assert run(video_command.command, source, target, "--model", tiny_model).exit_code == 0
    with av.open(str(source)) as before, av.open(str(target)) as after:
        for key in ("creation_time", "location", "make", "comment"):
            assert after.metadata[key] == before.metadata[key]


def test_a_stream_takes_part_codec_and_sound_as_a_video_does(
    clip: Path, tmp_path: Path, tiny_model: Path
) -> None:
    live = tmp_path / "live.mkv"
    words = ["--device", clip, "--output", live, "--model", tiny_model, "--codec", "mpeg4"]
    words += ["--start", "00:00:00.2", "--duration", "0.4"]
    assert run(stream_command.command, *words).exit_code == 0
    with av.open(str(live)) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
        assert sum(1 for _ in container.decode(video=0)) == 10
        assert len(container.streams.audio) == 1
    silent = tmp_path / "silent.mkv"
    words[words.index(live)] = silent
    assert run(stream_command.command, *words, "--no-sound").exit_code == 0
    with av.open(str(silent)) as container:
        assert len(container.streams.audio) == 0


def test_a_camera_has_no_start() -> None:
    result = run(
        stream_command.command, "--device", "synthetic", "--output", "null", "--start", "1"
    )
    assert isinstance(result.exception, LadleError)
    assert "have a start that can be skipped" in str(result.exception)


@pytest.mark.parametrize(
    "words",
    [
        ["--output", "{}", "--overwrite"],
        ["--output", "null", "--stats", "{}", "--overwrite"],
        ["--output", "null", "--trace", "{}", "--overwrite"],
        ["--output", "recording:{}", "--overwrite"],
    ],
)
def test_a_stream_never_writes_over_its_input(
    clip: Path, tiny_model: Path, words: list[str]
) -> None:
    before = clip.read_bytes()
    given = [word.format(clip) for word in words]
    result = run(stream_command.command, "--device", clip, "--model", tiny_model, *given)
    assert isinstance(result.exception, OutputError)
    assert "the input itself" in str(result.exception)
    assert clip.read_bytes() == before
