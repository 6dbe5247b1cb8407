"""Files of one picture or many: every kind there and back, and nothing but errors of ours."""

from __future__ import annotations

import contextlib
import struct
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladle_rt.errors import InputError, InputNotFoundError, LadleError
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.folder_source import FolderSource, is_sequence
from ladle_rt.sources.select import open_source
from ladle_rt.sources.still_images import list_images, read_still, read_stills
from ladle_rt.sources.stills import stack_pages
from ladle_rt.sources.stills.decode import (
    REFUSED,
    SUFFIXES,
    count_pictures,
    decode_pictures,
)
from ladle_rt.sources.stills.flir_radiometric import embedded_fff, fff_frames
from ladle_rt.thermal.scene_reader import ReadOptions

STACK = np.stack(
    [7000 + 40 * n + np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) for n in range(5)]
)


def fff(counts: np.ndarray, order: str, body: str) -> bytes:
    """A FLIR block as ExifTool describes it, with one raw record."""
    if body == "png":
        data = cv2.imencode(".png", counts)[1].tobytes()
    elif body == "swapped png":
        data = cv2.imencode(".png", counts.byteswap())[1].tobytes()
    else:
        data = counts.astype(order + "u2").tobytes()
    height, width = counts.shape
    raw = struct.pack(order + "HHH26x", 2, width, height) + data
    header = b"FFF\0GEN".ljust(20, b"\0") + struct.pack(order + "III", 101, 64, 1)
    entry = struct.pack(order + "H10xII12x", 1, 96, len(raw))
    return header.ljust(64, b"\0") + entry + raw


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("body", ["raw", "png", "swapped png"])
def test_flir_blocks_in_either_byte_order(tmp_path: Path, order: str, body: str) -> None:
    path = tmp_path / "in.seq"
    path.write_bytes(b"".join(fff(one, order, body) for one in STACK))
    assert np.array_equal(list(read_stills(path)), STACK)
    assert count_pictures(path, ReadOptions()) == 5


def test_raw_counts_of_a_radiometric_jpeg(tmp_path: Path) -> None:
    block = fff(STACK[0], "<", "swapped png")
    parts = [block[at : at + 2000] for at in range(0, len(block), 2000)]
    segments = b""
    for number in reversed(range(len(parts))):
        body = b"FLIR\0\1" + bytes([number, len(parts) - 1]) + parts[number]
        segments += b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    drawn = cv2.imencode(".jpg", np.full((96, 128, 3), (0, 200, 255), np.uint8))[1].tobytes()
    path = tmp_path / "ir.jpg"
    path.write_bytes(drawn[:2] + segments + drawn[2:])
    assert embedded_fff(path.read_bytes()) == block
    assert np.array_equal(read_still(path), STACK[0])


def test_flir_files_that_are_not_whole(tmp_path: Path) -> None:
    block = fff(STACK[0], "<", "raw")
    with pytest.raises(InputError, match="cut off"):
        list(fff_frames(block[:-9], "a.fff"))
    jpeg_ls = block.replace(STACK[0].astype("<u2").tobytes()[:4], b"\xff\xd8\xff\xf7", 1)
    with pytest.raises(InputError, match="CSQ"):
        list(fff_frames(jpeg_ls, "a.csq"))
    (tmp_path / "a.seq").write_bytes(b"no such thing")
    with pytest.raises(InputError, match="expected a FLIR FFF or SEQ file"):
        read_still(tmp_path / "a.seq")


@pytest.mark.parametrize(("suffix", "name"), REFUSED.items())
def test_what_is_not_read_is_refused_by_name(suffix: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"PK\3\4" + bytes(100))
    for read in (read_still, lambda one: open_source(str(one), SourceOptions())):
        with pytest.raises(InputError) as caught:
            read(path)
        line = str(caught.value)
        assert f"{name} files are not read; export 16-bit TIFF" in line and "\n" not in line


def test_csq_is_refused_by_name_whatever_the_file_is_called(tmp_path: Path) -> None:
    block = fff(STACK[0], ">", "raw")
    sensor = STACK[0].astype(">u2").tobytes()
    # Start of image, then a frame header of JPEG-LS (ISO 14495-1): 16 bits, 48x64, one component.
    jpeg_ls = b"\xff\xd8\xff\xf7\0\x0b\x10\0\x30\0\x40\1\1\x11\0"
    for name in ("a.csq", "a.seq", "a.fff", "a.jpg"):
        path = tmp_path / name
        path.write_bytes(block.replace(sensor, jpeg_ls.ljust(len(sensor), b"\0")))
        with pytest.raises(
            InputError, match=r"FLIR CSQ \(JPEG-LS\) is not read; export it"
        ) as caught:
            read_still(path)
        assert "\n" not in str(caught.value)


def test_dji_is_read_as_a_picture_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (64, 1))
    drawn = cv2.imencode(".jpg", picture)[1].tobytes()
    facts, raw = b"Exif\0\0DJI\0M30T", bytes(2000)
    segments = b"".join(
        mark + struct.pack(">H", len(body) + 2) + body
        for mark, body in ((b"\xff\xe1", facts), (b"\xff\xe3", raw))
    )
    (tmp_path / "a.jpg").write_bytes(drawn[:2] + segments + drawn[2:])
    with caplog.at_level("INFO", "ladle_rt"):
        assert read_still(tmp_path / "a.jpg").shape == picture.shape
    assert "DJI R-JPEG; its raw data needs DJI's Thermal SDK, the picture is read" in caplog.text


def test_every_page_of_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    many = np.concatenate([STACK] * 7)
    assert cv2.imwritemulti(str(path), list(many))
    assert count_pictures(path, ReadOptions()) == 35
    assert np.array_equal(list(read_stills(path)), many)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_degrees_in_a_tiff(tmp_path: Path, dtype: type) -> None:
    degrees = ((STACK[0].astype(np.float64) - 8000) / 10).astype(dtype)
    if dtype is not np.int16:
        degrees[4, 5:9] = np.nan
    cv2.imwrite(str(tmp_path / "c.tif"), degrees)
    counts = read_still(tmp_path / "c.tif").astype(float)
    assert abs(np.corrcoef(counts[5:].ravel(), degrees[5:].ravel())[0, 1] - 1) < 1e-6


@pytest.mark.parametrize("shape", ["nhw", "hw", "nhw1"])
def test_numpy_files(tmp_path: Path, shape: str) -> None:
    array = {"nhw": STACK, "hw": STACK[0], "nhw1": STACK[..., None]}[shape]
    np.save(tmp_path / "a.npy", array)
    expected = STACK[:1] if shape == "hw" else STACK
    assert np.array_equal(list(read_stills(tmp_path / "a.npy")), expected)
    np.save(tmp_path / "b.npy", np.array([{}], object))
    with pytest.raises(InputError, match="not a NumPy array"):
        read_still(tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", np.zeros((2, 2, 2, 2)))
    with pytest.raises(InputError, match="HxW or NxHxW, received 2x2x2x2"):
        read_still(tmp_path / "c.npy")


def test_raw_dumps_need_their_size(tmp_path: Path) -> None:
    path = tmp_path / "a.y16"
    path.write_bytes(STACK.astype("<u2").tobytes())
    found = list(read_stills(path, options=ReadOptions(raw_size=(64, 48))))
    assert np.array_equal(found, STACK)
    with pytest.raises(InputError, match="--raw-size WIDTHxHEIGHT"):
        read_still(path)
    with pytest.raises(InputError, match="frames of 64x47, 6016 bytes each, received 30720"):
        read_still(path, options=ReadOptions(raw_size=(64, 47)))


@pytest.mark.parametrize("suffix", [".pgm", ".jp2", ".png"])
def test_sixteen_bits_of_other_images(tmp_path: Path, suffix: str) -> None:
    cv2.imwrite(str(tmp_path / f"a{suffix}"), STACK[0])
    if suffix == ".jp2":
        assert np.abs(read_still(tmp_path / "a.jp2").astype(int) - STACK[0]).max() < 64
    else:
        assert np.array_equal(read_still(tmp_path / f"a{suffix}"), STACK[0])


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations(tmp_path: Path, suffix: str) -> None:
    levels = (30, 90, 150)
    if suffix == ".gif":
        # OpenCV's own encoder knows 8 levels of a channel.
        with av.open(str(tmp_path / "a.gif"), "w") as file:
            stream = file.add_stream("gif", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
            for level in levels:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64), level, np.uint8), "gray")
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    else:
        animation = cv2.Animation()
        animation.frames = [np.full((48, 64, 4), (v, v, v, 255), np.uint8) for v in levels]
        animation.durations = np.array([40, 40, 40])
        assert cv2.imwriteanimation(str(tmp_path / "a.webp"), animation)
    found = [int(np.median(one)) for one in read_stills(tmp_path / f"a{suffix}")]
    assert np.allclose(found, [30, 90, 150], atol=4)


def test_folders_with_sub_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.png", "deep/b.png", "deep/er/c.png", ".hidden/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in list_images([tmp_path])] == ["a.png"]
    assert "2 images in its sub-folders are left out; --recursive" in caplog.text
    assert "1 files are no images and are left out: notes.txt" in caplog.text
    names = [path.name for path in list_images([tmp_path], recursive=True)]
    assert names == ["a.png", "b.png", "c.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match="2 lie in its sub-folders, add --recursive"):
        list_images([tmp_path])


def test_patterns_and_stacks_are_sequences(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        cv2.imwrite(str(tmp_path / f"f_{number:03d}.png"), STACK[number % 5])
    pattern = tmp_path / "f_%03d.png"
    assert is_sequence(pattern) and not is_sequence(tmp_path / "a.mp4")
    with FolderSource(pattern, SourceOptions(fps=9)) as source:
        frames = list(source)
    assert [int(frame.pixels[0, 0]) for frame in frames] == [7040, 7080, 7000]
    assert source.info.rate == 9 and frames[1].time_s == pytest.approx(1 / 9)
    np.save(tmp_path / "s.npy", STACK)
    part = FolderSource(tmp_path / "s.npy", SourceOptions(fps=10, start_s=0.1, duration_s=0.3))
    assert [int(frame.pixels[0, 0]) for frame in part] == [7040, 7080, 7120]
    assert part.info.frames == 3
    with pytest.raises(InputNotFoundError, match="no file of this pattern"):
        FolderSource(tmp_path / "g_%d.png")
    with pytest.raises(InputError, match="start within the sequence"):
        FolderSource(tmp_path / "s.npy", SourceOptions(start_s=9))


def seeds() -> list[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".png", ".tif", ".pgm", ".jp2", ".jpg", ".bmp"):
            picture = STACK[0] if suffix not in (".jpg", ".bmp") else STACK[0].astype(np.uint8)
            cv2.imwrite(f"{folder}/a{suffix}", picture[:16, :16])
        np.save(f"{folder}/a.npy", STACK[:2, :8, :8])
        found = [(path.suffix, path.read_bytes()) for path in sorted(Path(folder).iterdir())]
    found.append((".fff", fff(STACK[0], "<", "png")))
    found.append((".seq", fff(STACK[0, :8, :8], ">", "raw") * 2))
    return found


SEEDS = seeds()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_files_of_every_kind_are_refused_or_read(data: st.DataObject) -> None:
    suffix, whole = data.draw(st.sampled_from(SEEDS))
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    named = data.draw(st.sampled_from([suffix, *sorted(SUFFIXES)]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{named}"
        path.write_bytes(content)
        options = ReadOptions(raw_size=(8, 8))
        assert count_pictures(path, options) >= 1
        with contextlib.suppress(LadleError):
            for decoded in decode_pictures(path, options):
                assert decoded.pixels.ndim in (2, 3) and decoded.pixels.size
            for pixels in read_stills(path, True, options):
                assert pixels.ndim == 2 and pixels.dtype in (np.uint8, np.uint16)


@given(
    count=st.integers(1, 40),
    at_once=st.integers(1, 5),
    kind=st.sampled_from([np.uint8, np.uint16, np.float32]),
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_page_of_a_stack_comes_once_in_order(
    count: int, at_once: int, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_pages, "PIXELS_AT_ONCE", at_once * 12)
    path = tmp_path / "s.tif"
    wanted = [np.full((3, 4), number, kind) for number in range(count)]
    assert cv2.imwritemulti(str(path), wanted)
    found = list(stack_pages.tiff_pages(path))
    assert len(found) == count == stack_pages.count_pages(path)
    assert all(np.array_equal(a, b) and a.dtype == kind for a, b in zip(found, wanted, strict=True))
