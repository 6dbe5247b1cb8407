"""Many stills: all checked before work, none lost, one failure costs one picture."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import pytest

from ladle_rt.errors import (
    BackendError,
    InputError,
    InputNotFoundError,
    LadleError,
    OutputError,
    PartialResultError,
)
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.pipeline.image_job import ImageJob, translate_images


class GreyTranslator:
    """Repeats the thermal image as grey; fails on frames with a pixel of 255."""

    name, depth = "grey", 2

    def __init__(self, frame: tuple[int, int] = (0, 0)) -> None:
        self.flying: deque[Frame] = deque()
        self.made_for = frame
        self.boxes: list[tuple[int, int]] = []
        self.most_in_flight = 0
        self.closed = False

    def resize(self, size: tuple[int, int]) -> None:
        self.boxes.append(size)

    def submit(self, frame: Frame) -> int:
        self.flying.append(frame)
        self.most_in_flight = max(self.most_in_flight, len(self.flying))
        return frame.sequence

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        frame = self.flying.popleft()
        if frame.pixels.max() == 255:
            raise BackendError(f"frame {frame.sequence} is too hot")
        rgb = np.ascontiguousarray(np.dstack([frame.pixels] * 3))
        return TranslatedFrame(frame, Picture("rgb24", rgb, rgb.shape[1], rgb.shape[0]))

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> GreyTranslator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def put(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((5, 7), value, np.uint8))
    return path


def told_nothing(error: LadleError) -> None:
    raise AssertionError(f"reported {error}")


def own_size(frame: tuple[int, int]) -> tuple[int, int]:
    return frame


def as_is(frame: Frame) -> Frame:
    return frame


def never(frame: tuple[int, int]) -> GreyTranslator:
    raise AssertionError("work began")


def test_every_image_gets_its_own_picture(tmp_path: Path) -> None:
    for value in range(9):
        put(tmp_path / f"in/{value}.png", value)
    translator = GreyTranslator()
    job = ImageJob((tmp_path / "in",), tmp_path / "out")
    assert translate_images(job, lambda frame: translator, own_size, as_is, told_nothing) == 9
    assert translator.closed and translator.most_in_flight == translator.depth
    for value in range(9):
        stored = cv2.imread(str(tmp_path / f"out/{value}.png"), cv2.IMREAD_UNCHANGED)
        assert stored.shape == (5, 7, 3) and (stored == value).all()


def test_each_image_gets_its_own_box(tmp_path: Path) -> None:
    made: list[GreyTranslator] = []

    def make(frame: tuple[int, int]) -> GreyTranslator:
        made.append(GreyTranslator(frame))
        return made[-1]

    (tmp_path / "0.png").write_text("no image")
    for name, shape in (("1", (8, 6)), ("2", (4, 9))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros(shape, np.uint8))
    told: list[LadleError] = []
    with pytest.raises(PartialResultError):
        translate_images(
            ImageJob((tmp_path,), tmp_path / "out"), make, own_size, as_is, told.append
        )
    (translator,) = made
    assert translator.made_for == (8, 6) and translator.boxes == [(8, 6), (4, 9)]


def test_failures_are_told_and_cost_nothing_else(tmp_path: Path) -> None:
    for number, value in enumerate((10, 255, 20, 30, 255, 40)):
        put(tmp_path / f"in/{number}.png", value)
    (tmp_path / "in/3.png").write_text("no image")
    told: list[LadleError] = []
    job = ImageJob((tmp_path / "in",), tmp_path / "out")
    with pytest.raises(PartialResultError, match="3 of 6 images failed"):
        translate_images(job, GreyTranslator, own_size, as_is, told.append)
    assert sorted(type(error).__name__ for error in told) == [
        "BackendError",
        "BackendError",
        "InputError",
    ]
    written = {
        path.name: int(cv2.imread(str(path))[0, 0, 0]) for path in (tmp_path / "out").iterdir()
    }
    assert written == {"0.png": 10, "2.png": 20, "5.png": 40}


def test_nothing_written_is_an_error_not_a_part(tmp_path: Path) -> None:
    put(tmp_path / "in/a.png", 255)
    translator = GreyTranslator()
    told: list[LadleError] = []
    with pytest.raises(InputError, match="none of 1 images"):
        translate_images(
            ImageJob((tmp_path / "in",), tmp_path / "out"),
            lambda frame: translator,
            own_size,
            as_is,
            told.append,
        )
    assert [str(error) for error in told] == ["frame 0 is too hot"]
    assert translator.closed


def test_bugs_are_not_swallowed(tmp_path: Path) -> None:
    class Broken(GreyTranslator):
        def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
            raise ZeroDivisionError

    translator = Broken()
    job = ImageJob((put(tmp_path / "a.png", 1),), tmp_path / "out")
    with pytest.raises(ZeroDivisionError):
        translate_images(job, lambda frame: translator, own_size, as_is, told_nothing)
    assert translator.closed and os.listdir(tmp_path / "out") == []


def two_of_a_stem(folder: Path) -> ImageJob:
    return ImageJob((put(folder / "x/a.png", 1), put(folder / "y/a.tiff", 2)), folder / "out")


def an_existing_target(folder: Path) -> ImageJob:
    put(folder / "out/b.png", 9)
    return ImageJob((put(folder / "a.png", 1), put(folder / "b.png", 2)), folder / "out")


def a_file_as_folder(folder: Path) -> ImageJob:
    return ImageJob((put(folder / "a.png", 1),), put(folder / "out.png", 2))


def a_file_above_the_folder(folder: Path) -> ImageJob:
    put(folder / "file.png", 2)
    return ImageJob((put(folder / "a.png", 1),), folder / "file.png" / "out")


def a_folder_as_target(folder: Path) -> ImageJob:
    (folder / "out/a.png").mkdir(parents=True)
    return ImageJob((put(folder / "a.png", 1),), folder / "out", overwrite=True)


def the_input_itself(folder: Path) -> ImageJob:
    return ImageJob((put(folder / "a.png", 1),), folder, overwrite=True)


@pytest.mark.parametrize(
    ("make_job", "message"),
    [
        (two_of_a_stem, "would both become a.png"),
        (an_existing_target, "b.png: already exists"),
        (a_file_as_folder, "expected a folder for the output, found a file"),
        (a_file_above_the_folder, "cannot be made"),
        (a_folder_as_target, "found a folder"),
        (the_input_itself, "same file"),
    ],
)
def test_targets_are_refused_before_any_work(
    tmp_path: Path, make_job: Callable[[Path], ImageJob], message: str
) -> None:
    job = make_job(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match=message):
        translate_images(job, never, own_size, as_is, told_nothing)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_overwrite_replaces(tmp_path: Path) -> None:
    put(tmp_path / "out/a.png", 9)
    job = ImageJob((put(tmp_path / "a.png", 1),), tmp_path / "out", overwrite=True)
    assert translate_images(job, GreyTranslator, own_size, as_is, told_nothing) == 1
    assert (cv2.imread(str(tmp_path / "out/a.png")) == 1).all()


def test_inputs_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    good = put(tmp_path / "a.png", 1)
    for bad, kind in (
        (tmp_path / "missing.png", InputNotFoundError),
        (tmp_path / "empty", InputError),
    ):
        job = ImageJob((good, bad), tmp_path / "out")
        with pytest.raises(kind, match=bad.name):
            translate_images(job, never, own_size, as_is, told_nothing)
    assert not (tmp_path / "out").exists()


def test_checks_and_progress_grow_with_the_number_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    stat = Path.stat

    def counted(path: Path, **words: bool) -> os.stat_result:
        nonlocal looks
        looks += 1
        return stat(path, **words)

    costs = []
    told: list[tuple[int, int]] = []
    for many in (20, 80):
        folder = tmp_path / str(many)
        folder.mkdir()
        for number in range(many):
            put(folder / f"{number:03d}.png", 9)
        told.clear()
        looks = 0
        with monkeypatch.context() as patch:
            patch.setattr(Path, "stat", counted)
            job = ImageJob((folder,), tmp_path / f"out{many}")
            translate_images(
                job, GreyTranslator, own_size, as_is, told_nothing,
                lambda done, expected: told.append((done, expected)),
            )  # fmt: skip
        costs.append(looks)
        assert told == sorted(told) and len(told) == many + 1
        assert told[0] == (0, many) and told[-1] == (many, many)
    assert costs[1] < 5 * costs[0]
