"""What a stream may not write over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ladle_rt.errors import OutputError
from ladle_rt.pipeline.shared_places import refuse_shared_places


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp4"
    path.write_bytes(b"mine")
    return path


@pytest.mark.parametrize("output", ["{0}", "recording:{0}", "pipe:{0}", "{1}/../{2}/in.mp4"])
def test_an_output_is_never_the_input(clip: Path, output: str) -> None:
    spec = output.format(clip, clip.parent, clip.parent.name)
    with pytest.raises(OutputError, match="the input itself"):
        refuse_shared_places(str(clip), [spec], {})


@pytest.mark.parametrize("option", ["--stats", "--trace"])
@pytest.mark.parametrize("device", ["{}", "recording:{}"])
def test_figures_and_traces_are_never_the_input(clip: Path, option: str, device: str) -> None:
    with pytest.raises(OutputError, match=rf"{option} .*the input itself"):
        refuse_shared_places(device.format(clip), [], {option: clip})


def test_links_are_seen_through(clip: Path) -> None:
    soft, hard = clip.with_name("soft.mp4"), clip.with_name("hard.mp4")
    soft.symlink_to(clip)
    os.link(clip, hard)
    for link in (soft, hard):
        with pytest.raises(OutputError, match="the input itself"):
            refuse_shared_places(str(clip), [str(link)], {})


def test_a_folder_does_not_take_pictures_of_itself(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the input itself"):
        refuse_shared_places(str(tmp_path), [f"{tmp_path}/"], {})


def test_no_two_things_go_into_one_place(tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    for outputs, others in (
        ([str(out), str(out)], {}),
        ([str(out), f"recording:{out}"], {}),
        ([str(out)], {"--stats": out}),
        ([], {"--stats": out, "--trace": tmp_path / "." / "out.mkv"}),
    ):
        with pytest.raises(OutputError, match="the same place as"):
            refuse_shared_places("synthetic", outputs, others)


def test_a_camera_is_not_its_own_output() -> None:
    with pytest.raises(OutputError, match="the input itself"):
        refuse_shared_places("9", ["v4l2:/dev/video9"], {})


def test_addresses_and_other_places_are_let_through(clip: Path, tmp_path: Path) -> None:
    outputs = ["rtsp://host/a", "shm:in.mp4", "null", "null", str(tmp_path / "out.mkv")]
    refuse_shared_places(str(clip), outputs, {"--stats": tmp_path / "s", "--trace": None})
    refuse_shared_places("rtsp://host/a", ["out.mkv"], {})
