"""Footage of every kind becomes a calibration set; what is no thermal footage is refused."""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from ladle_rt.datasets.read_image import read_thermal
from ladle_rt.engines.calibration import calibrate as module
from ladle_rt.engines.calibration.calibrate import CalibrationJob, calibrate, spread
from ladle_rt.engines.calibration.calibration_set import CalibrationSet
from ladle_rt.engines.calibration.footage import Reader, list_stills
from ladle_rt.errors import (
    ConfigError,
    DatasetError,
    FalseColourError,
    InputError,
    InputNotFoundError,
    OutputError,
)
from ladle_rt.models.artifact import file_sha256, load_artifact

Calibrate = Callable[..., CalibrationSet]


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Calibrate:
    """Calibrate the tiny model: ``run(path, ..., frames=8)``."""

    def call(*data: Path, frames: int = 8, **options: Any) -> CalibrationSet:
        job = CalibrationJob(data, tmp_path / "set", frames, **options)
        return calibrate(load_artifact(tiny_model), job)

    return call


def scene(seed: int, dtype: str = "uint8", size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A smooth random field, its own for every seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (6, 8)).astype(np.float32) ** rng.uniform(0.3, 3)
    field = np.clip(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)
    return (2000 + field * 1800 if dtype == "uint16" else 20 + field * 200).astype(dtype)


def put(path: Path, seed: int, dtype: str = "uint8", colour: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = scene(seed, dtype)
    if colour:
        image = cv2.applyColorMap(image, cv2.COLORMAP_INFERNO)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A plain folder of 20 thermal images."""
    for seed in range(20):
        put(tmp_path / "plain" / f"{seed:02d}.png", seed)
    return tmp_path / "plain"


def frames(made: CalibrationSet) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = made.manifest.frames + made.manifest.held_out
    return listed


def test_a_folder_of_images(run: Calibrate, images: Path, tiny_model: Path) -> None:
    made = run(images, frames=12)
    assert len(made.manifest.frames) == 12 and len(made.manifest.held_out) == 4
    names = [frame["name"] for frame in frames(made)]
    assert len(set(names)) == 16
    for frame in frames(made):
        assert frame["sha256"] == file_sha256(images / frame["name"])
        assert frame["origin"] == str(images) and frame["light"] == "unknown"
    info = load_artifact(tiny_model).info
    made.check_bound(info.onnx_sha256, info.name)
    assert made.ranges == {}, "three channels are too few to be quantised"
    seen = made.held_out_inputs(info)
    # What the network sees fills [0, 1].
    assert len(seen) == 4 and 0.9 < max(frame.max() for frame in seen) <= 1


def test_the_same_footage_gives_the_same_set(run: Calibrate, images: Path) -> None:
    first = run(images).manifest
    assert run(images, overwrite=True).manifest == first


def test_raw_counts(run: Calibrate, tmp_path: Path, tiny_model: Path) -> None:
    for seed in range(10):
        put(tmp_path / "raw" / f"{seed}.tiff", seed, "uint16")
    made = run(tmp_path / "raw")
    assert min(frame["percentiles_1_50_99"][0] for frame in frames(made)) >= 2000
    kept = read_thermal(made.folder / "held_out" / "0000.png")
    assert kept.dtype == np.uint16 and kept.shape == (64, 85)


def test_the_same_image_twice_counts_once(run: Calibrate, images: Path) -> None:
    made = run(images, images, frames=18)
    assert len({frame["sha256"] for frame in frames(made)}) == len(frames(made)) == 20


@pytest.mark.parametrize(
    ("arrangement", "suffix"),
    [
        ("{set}/{video}/{side}/{frame}", ".jpg"),
        ("images/{set}/{video}/{side}/{frame}", ".jpg"),
        ("{side}/{set}_{video}_{frame}", ".png"),
        ("JPEGImages/{set}_{video}_{frame}_{side}", ".jpg"),
    ],
)
@pytest.mark.parametrize("sides", [("lwir",), ("lwir", "visible")])
def test_kaist_training_sets_alone(
    arrangement: str, suffix: str, sides: tuple[str, ...], run: Calibrate, tmp_path: Path
) -> None:
    seed = 0
    for part in ("set00", "set03", "set06", "set09"):
        for number in range(8):
            for side in sides:
                seed += 1
                facts = {"set": part, "video": "V001", "frame": f"I{number:05d}", "side": side}
                path = tmp_path / "kaist" / (arrangement.format(**facts) + suffix)
                put(path, seed, colour=side == "visible")
    made = run(tmp_path / "kaist", frames=12)
    lights = Counter((frame["sequence"], frame["light"]) for frame in made.manifest.frames)
    assert lights == {("set00/V001", "day"): 6, ("set03/V001", "night"): 6}
    assert all("lwir" in frame["name"] for frame in frames(made))


def test_one_folder_inside_kaist_still_says_what_it_is(tmp_path: Path) -> None:
    for part in ("set02", "set07"):
        for number in range(3):
            put(tmp_path / part / "V000" / "lwir" / f"I{number:05d}.jpg", number)
    stills = list_stills(tmp_path / "set02" / "V000" / "lwir")
    assert [(still.sequence, still.light) for still in stills] == [("set02/V000", "day")] * 3
    for root in ("set07", "set07/V000/lwir"):
        with pytest.raises(DatasetError, match="official training set"):
            list_stills(tmp_path / root)


def test_only_the_training_split_of_a_table(run: Calibrate, tmp_path: Path) -> None:
    root = tmp_path / "roads"
    lines = ["file,split,block,light"]
    for seed in range(30):
        put(root / "ir" / f"{seed:02d}.png", seed)
        put(root / "vi" / f"{seed:02d}.png", seed, colour=True)
        part = "val" if seed % 3 == 0 else "train"
        lines.append(f"{seed:02d}.png,{part},{'AB'[seed % 2]},{['day', 'night'][seed % 2]}")
    (root / "pairs.csv").write_text("\n".join(lines))
    made = run(root, frames=10)
    assert all(int(Path(frame["name"]).stem) % 3 for frame in frames(made))
    ((origin, number, sequences, kinds, lights),) = spread(made.manifest.frames)
    assert (origin, number, sequences) == (str(root), 10, 2) and 2 <= kinds <= 8
    assert lights in ("4 day, 6 night", "5 day, 5 night", "6 day, 4 night")


def test_a_dataset_without_a_training_set(run: Calibrate, tmp_path: Path) -> None:
    for seed in range(9):
        put(tmp_path / "msrs" / "test" / "ir" / f"{seed:05d}D.png", seed)
        put(tmp_path / "msrs" / "test" / "vi" / f"{seed:05d}D.png", seed, colour=True)
    with pytest.raises(DatasetError, match="official training set"):
        run(tmp_path / "msrs")


@pytest.mark.parametrize("names", [["train/ir", "test/ir"], ["infrared/train", "infrared/test"]])
def test_thermal_halves_of_datasets(names: list[str], tmp_path: Path) -> None:
    for name in names:
        for seed in range(4):
            put(tmp_path / name / f"{seed:05d}{'DN'[seed % 2]}.png", seed)
    stills = list_stills(tmp_path)
    assert [still.light for still in stills] == ["day", "night"] * 2
    assert {still.sequence for still in stills} == {names[0]}


def test_subfolders_are_sequences_and_visible_ones_are_left_out(tmp_path: Path) -> None:
    for name in ("walk/thermal", "drive", "drive/RGB", ".trash", "Visible"):
        put(tmp_path / name / "1.png", 1)
    stills = list_stills(tmp_path)
    assert [still.sequence for still in stills] == ["drive", "walk/thermal"]


def test_an_image_list(run: Calibrate, tmp_path: Path) -> None:
    root = tmp_path / "kaist"
    for part in ("set00", "set06"):
        for number in range(14):
            folder = root / part / "V000"
            put(folder / "lwir" / f"I{number:05d}.jpg", number + 50 * (part == "set06"))
            put(folder / "visible" / f"I{number:05d}.jpg", number, colour=True)
    listed = tmp_path / "train-all-02.txt"
    wanted = [f"set00/V000/I{number:05d}" for number in range(12)]
    listed.write_text("\n".join([*wanted, "set06/V000/I00003"]))
    made = run(root, image_list=listed, frames=10)
    names = {frame["name"].replace("/lwir", "").removesuffix(".jpg") for frame in frames(made)}
    assert len(names) == 12 and names == set(wanted)
    listed.write_text("set00/V000/I99999")
    with pytest.raises(DatasetError, match="I99999"):
        run(root, image_list=listed, overwrite=True)
    with pytest.raises(ConfigError, match="one dataset"):
        run(root, root, image_list=listed)


def write_clip(path: Path, frames: int, pix_fmt: str = "gray") -> Path:
    """A lossless video of a bar that moves over a background that brightens."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for index in range(frames):
            grey = np.full((48, 64), 40 + index % 100, np.uint8)
            grey[:, index * 5 % 64 :][:, :6] = 220
            frame = av.VideoFrame.from_ndarray(grey, "gray").reformat(format=pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_video_is_sampled_over_its_whole_length(
    run: Calibrate, tiny_model: Path, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "drive.mkv", frames=300)
    (tmp_path / "copies").mkdir()
    reader = Reader(load_artifact(tiny_model).info, tmp_path / "copies", budget=20)
    numbers = [int(candidate.name) for candidate in reader.read(clip)]
    assert len(numbers) == 20 and numbers[0] < 16 and numbers[-1] >= 284
    assert max(np.diff(numbers)) <= 2 * min(np.diff(numbers))
    assert len(list((tmp_path / "copies").iterdir())) <= 2 * 20, "frames that were let go are gone"
    made = run(clip, frames=24)
    thirds = Counter(int(frame["name"]) // 100 for frame in made.manifest.frames)
    assert len(thirds) == 3 and min(thirds.values()) >= 4


def test_footage_of_several_kinds(run: Calibrate, images: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "drive.mkv", frames=40, pix_fmt="gray16le")
    raw = put(tmp_path / "one.tiff", 77, "uint16")
    made = run(images, clip, raw, frames=16)
    counts = Counter(Path(frame["origin"]).name for frame in frames(made))
    assert counts.keys() == {"plain", "drive.mkv", "one.tiff"} and min(counts.values()) == 1


def test_a_video_that_ends_early(
    run: Calibrate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = write_clip(tmp_path / "cut.mkv", frames=120)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    made = run(clip)
    assert "damaged or cut short" in caplog.text
    assert max(int(frame["name"]) for frame in frames(made)) < 90


def test_nothing_stays_behind(
    run: Calibrate, images: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    run(images)
    put(images / "zz.png", 1, colour=True)
    with pytest.raises(FalseColourError):
        run(images, overwrite=True)
    assert not list((tmp_path / "temporary").iterdir())


def test_an_existing_set_is_refused_before_the_work(run: Calibrate, images: Path) -> None:
    run(images)
    with pytest.raises(OutputError, match="--overwrite"):
        run(images / "absent")


@pytest.mark.parametrize("number", [1, 9])
def test_too_few_frames(number: int, run: Calibrate, tmp_path: Path) -> None:
    for seed in range(number):
        put(tmp_path / "few" / f"{seed}.png", seed)
    with pytest.raises(ConfigError, match=f"at least 10 .* received {number}; add more"):
        run(tmp_path / "few")
    assert not (tmp_path / "set").exists()


def test_fewer_than_asked_for_is_told(
    run: Calibrate, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(run(images, frames=100).manifest.frames) == 16
    assert "calibrating on 16 frames instead of 100" in caplog.text


def test_n_below_the_minimum() -> None:
    with pytest.raises(ConfigError, match="n must be at least 8, received 7"):
        CalibrationJob((Path("x"),), Path("y"), 7)


def test_jobs_that_say_nothing() -> None:
    with pytest.raises(ConfigError, match="--data"):
        CalibrationJob((), Path("y"))
    with pytest.raises(ConfigError, match="'entropy'"):
        CalibrationJob((Path("x"),), Path("y"), method="entropy")  # type: ignore[arg-type]


def test_coloured_images(run: Calibrate, images: Path) -> None:
    put(images / "05.png", 5, colour=True)
    with pytest.raises(
        FalseColourError, match=r"05\.png: expected thermal.*thermal images"
    ) as told:
        run(images)
    assert "\n" not in str(told.value) and "--allow-colour" not in str(told.value)


def test_a_coloured_video(run: Calibrate, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "c.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for seed in range(12):
            picture = cv2.applyColorMap(scene(seed), cv2.COLORMAP_JET)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            container.mux(stream.encode(frame.reformat(format="yuv444p")))
        container.mux(stream.encode(None))
    with pytest.raises(FalseColourError, match="coloured") as told:
        run(tmp_path / "c.mkv")
    assert "--allow-colour" not in str(told.value)


def test_a_few_unreadable_files_are_named(
    run: Calibrate, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (images / "03.png").write_bytes(b"no image")
    (images / "07.png").write_bytes(b"")
    made = run(images)
    (record,) = [entry for entry in caplog.records if entry.levelno == logging.WARNING]
    assert "2 of 20 images cannot be read (03.png, 07.png)" in record.getMessage()
    assert not {"03.png", "07.png"} & {frame["name"] for frame in frames(made)}


def test_many_unreadable_files(run: Calibrate, images: Path) -> None:
    for number in range(3):
        (images / f"{number:02d}.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"3 of 20 images cannot be read .*at most 10%"):
        run(images)


def test_frames_without_contrast_are_left_out(
    run: Calibrate, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise = np.random.default_rng(0).integers(0, 3, (48, 64)).astype(np.uint8)
    for name, picture in (("black", noise * 0), ("noise", noise + 5)):
        assert cv2.imwrite(str(images / f"{name}.png"), picture)
    made = run(images, frames=100)
    assert "left out 2 frames without contrast" in caplog.text
    assert len(frames(made)) == 20


def test_paths_with_nothing_thermal(run: Calibrate, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no such file"):
        run(tmp_path / "absent")
    (tmp_path / "empty" / "below").mkdir(parents=True)
    with pytest.raises(InputError, match="found none"):
        run(tmp_path / "empty")
    (tmp_path / "text.txt").write_text("not a video")
    with pytest.raises(InputError, match=r"text\.txt"):
        run(tmp_path / "text.txt")
    with pytest.raises(DatasetError, match="received a video"):
        run(tmp_path / "text.txt", image_list=tmp_path / "text.txt")


def test_no_room_for_copies(run: Calibrate, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        run(images)


@pytest.fixture
def real(shared_data: Path, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Choose frames of real data for the default model."""
    model = load_artifact("ladlenet-plus-compact")

    def call(*names: str, count: int) -> list[dict[str, Any]]:
        with pytest.MonkeyPatch.context() as patch:
            # The network itself is not what is asked here.
            patch.setattr(module, "measure_histograms", lambda *_: {})
            data = tuple(shared_data / name for name in names)
            made = calibrate(model, CalibrationJob(data, tmp_path / "set", count))
        return frames(made)

    return call


def test_real_kaist_alone(real: Any) -> None:
    listed = real("kaist-mini", count=8)
    assert len(listed) == 10 and {frame["light"] for frame in listed} == {"day"}


def test_real_data_of_three_kinds(real: Any) -> None:
    listed = real("kaist-mini", "roadscene", "msrs-thermal-only", count=64)
    origins = Counter(Path(frame["origin"]).name for frame in listed)
    assert origins.keys() == {"kaist-mini", "roadscene", "msrs-thermal-only"}
    assert len(listed) == 64 + 8 and min(origins.values()) >= 4
    roads = [frame for frame in listed if frame["origin"].endswith("roadscene")]
    assert {frame["sequence"] for frame in roads} == set("ABCDF"), "block E is for validation"
    assert {frame["light"] for frame in listed} == {"day", "night"}
