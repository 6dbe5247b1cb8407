"""Synthetic recordings, images and pairs, so that everything can be tried without data."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from ladle_rt.colour import encode_png
from ladle_rt.errors import OutputError
from ladle_rt.files import check_target, temporary_folder, write_bytes
from ladle_rt.frames import Picture, ThermalPixels, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.video_sink import VideoSink
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource, synthetic_pairs


def write_sample(
    path: Path,
    options: DriveOptions,
    overwrite: bool = False,
) -> int:
    """Write a synthetic thermal drive; the file appears whole or not at all.

    Args:
        path: the video file.
        options: the drive; sides must be even.
        overwrite: whether an existing file may be replaced.

    Returns:
        Number of frames.

    Raises:
        OutputError: the file cannot be written.
    """
    source = SyntheticSource(options)
    info = source.info
    context = SinkContext(info.width, info.height, info.rate, info.time_base, overwrite=overwrite)
    sink = VideoSink(path, context)
    neutral = np.full((info.height // 2, info.width), 128, np.uint8)
    count = 0
    try:
        for frame in source:
            # Limited range, as in any thermal video that went through an encoder.
            luma = (16 + frame.pixels.astype(np.uint16) * 219 // 255).astype(np.uint8)
            picture = Picture("yuv420p", np.vstack([luma, neutral]), info.width, info.height)
            sink.write(TranslatedFrame(frame, picture))
            count += 1
    except BaseException:
        sink.abort()
        raise
    sink.close()
    return count


def write_sample_image(path: Path, options: DriveOptions, overwrite: bool = False) -> None:
    """Write the first frame of a synthetic thermal drive as an 8-bit PNG.

    Raises:
        OutputError: the file cannot be written.
    """
    check_target(path, overwrite=overwrite)
    frame = next(iter(SyntheticSource(options)))
    data = _grey_png(frame.pixels)
    write_bytes(path, data, overwrite=overwrite)


def write_sample_pairs(
    folder: Path,
    size: tuple[int, int],
    seed: int,
    count: int,
    overwrite: bool = False,
) -> None:
    """Write aligned ``ir/NNNN.png`` (8-bit) and ``vi/NNNN.png`` (sRGB) of one synthetic drive.

    They are put in place when all are finished.

    Args:
        folder: where to; made if it does not exist, but not the folder that holds it.
        size: width and height, pixels.
        seed: the scenery.
        count: number of pairs.
        overwrite: whether ``ir`` and ``vi`` may have files already, and those of equal names be
            replaced.

    Raises:
        ConfigError: see `DriveOptions`.
        OutputError: they cannot be written.
    """
    names = [f"{kind}/{number:04}.png" for number in range(count) for kind in ("ir", "vi")]
    fresh = not folder.exists()
    if fresh:
        check_target(folder)
    else:
        _check_folder(folder, names, overwrite)
    # Within a folder that exists, which may be on a disk of its own.
    with temporary_folder(folder if fresh else folder / "pairs") as part:
        for kind in ("ir", "vi"):
            (part / kind).mkdir()
        for number, pair in enumerate(synthetic_pairs(*size, seed, count)):
            (part / f"ir/{number:04}.png").write_bytes(_grey_png(pair.thermal))
            (part / f"vi/{number:04}.png").write_bytes(encode_png(pair.visible))
        if fresh:
            part.rename(folder)
            return
        for kind in ("ir", "vi"):
            (folder / kind).mkdir(exist_ok=True)
        for name in names:
            os.replace(part / name, folder / name)


def _check_folder(folder: Path, names: list[str], overwrite: bool) -> None:
    if not folder.is_dir():
        raise OutputError(f"{folder}: expected a folder for the pairs, found a file")
    for kind in ("ir", "vi"):
        place = folder / kind
        if place.exists() and not place.is_dir():
            raise OutputError(f"{place}: expected a folder, found a file")
        if place.is_dir() and any(place.iterdir()) and not overwrite:
            raise OutputError(
                f"{place}: has files already; choose another folder, or replace those of equal "
                "names with --overwrite"
            )
    for name in names:
        if (folder / name).parent.is_dir():
            check_target(folder / name, overwrite=overwrite)


def _grey_png(grey: ThermalPixels) -> bytes:
    encoded, data = cv2.imencode(".png", grey)
    assert encoded
    return data.tobytes()
