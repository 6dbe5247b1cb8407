"""``ladle-rt evaluate``: quality on paired data, beside trivial baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._data import (
    check_targets,
    pair_options,
    show,
    watch,
    write_json,
    write_text,
)
from ladle_rt.cli._parameters import parse_size
from ladle_rt.errors import MissingDependencyError, PartialResultError, require

FILE = click.Path(path_type=Path)
NOT_FOR_VIDEOS = (
    *("split", "image_list", "subset", "look", "size"),
    *("csv", "sheet", "sheet_rows", "sheet_all"),
)


def _png(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() != ".png":
        raise click.BadParameter(f"expected a name ending in .png, received '{value}'")
    return value


@click.command("evaluate")
@click.option("--data", type=FILE, help="Folder with paired images, or with pairs of videos.")
@click.option(
    "--video",
    "videos",
    type=(FILE, FILE),
    multiple=True,
    metavar="THERMAL VISIBLE",
    help="A pair of aligned videos instead; repeatable.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    help="Shipped name, .onnx or .safetensors; repeatable, further ones are compared with the "
    "first.",
)
@pair_options
@click.option(
    "--look",
    type=click.Choice(["auto", "daylight", "none"]),
    help="Compare with the truth in this look as well; auto: in the models' own.",
)
@click.option(
    "--size",
    callback=parse_size,
    metavar="WxH",
    help="Compare at this size; 256x192, the figures of record.",
)
@click.option("--json", "json_path", type=FILE, help="Write all figures.")
@click.option("--csv", type=FILE, help="Write the figures of every image.")
@click.option("--sheet", type=FILE, callback=_png, help="Write a contact sheet (PNG).")
@click.option(
    "--sheet-rows",
    type=click.IntRange(min=1),
    help="So many of the worst, the median and the best on the sheet; 4 by default.",
)
@click.option("--sheet-all", is_flag=True, help="Every pair on the sheet, worst first.")
@click.pass_context
def command(
    context: click.Context,
    /,
    data: Path | None,
    videos: tuple[tuple[Path, Path], ...],
    models: tuple[str, ...],
    json_path: Path | None,
    **options: Any,
) -> None:
    """Score models on pairs of thermal and visible images, beside trivial baselines.

    Whole frames at 256x192, mean over images, 95 % bootstrap intervals over drives. The
    mean-colour baseline is the mean of the dataset's training split where it has one. Models
    that were trained in a look are compared as painted, against the truth in that look, beside
    the raw truth. Perceptual distance and KID need the extra perceptual.

    On pairs of videos (--video, or a folder of NAME_infrared and NAME_visible files) steadiness
    is measured: warping error and flicker, with the true video's own values as the floor;
    --limit then counts frames.
    """
    if (data is None) == (not videos):
        raise click.UsageError("expected one of --data FOLDER and --video THERMAL VISIBLE")
    from ladle_rt.evaluation.video_pairs import VideoPair, find_video_pairs

    pairs = [VideoPair(*files, name=files[0].stem) for files in videos]
    if data is not None and options["layout"] == "auto":
        pairs = find_video_pairs(data)
    if not pairs:
        assert data is not None
        _score_images(data, models, json_path, **options)
        return
    for parameter in context.command.params:
        if parameter.name in NOT_FOR_VIDEOS and options[parameter.name]:
            raise click.UsageError(f"{parameter.opts[0]} is for paired images, not for videos")
    _measure_videos(pairs, models, options["limit"], json_path)


def _score_images(
    data: Path,
    models: Sequence[str],
    json_path: Path | None,
    *,
    csv: Path | None,
    sheet: Path | None,
    sheet_rows: int | None,
    sheet_all: bool,
    look: Any,
    size: tuple[int, int] | None,
    **selection: Any,
) -> None:
    require("skimage", "train")
    from ladle_rt.evaluation.contact_sheet import contact_sheet
    from ladle_rt.evaluation.eval_model import SIZE
    from ladle_rt.evaluation.evaluate import evaluate
    from ladle_rt.evaluation.open_models import open_models
    from ladle_rt.evaluation.pair_selection import choose_pairs
    from ladle_rt.evaluation.perceptual_weights import open_perceptual_metric
    from ladle_rt.evaluation.tables import tables
    from ladle_rt.frames import Picture
    from ladle_rt.sinks.png import write_png

    if sheet is None and (sheet_rows or sheet_all):
        raise click.UsageError("--sheet-rows and --sheet-all need --sheet FILE")
    if sheet_rows and sheet_all:
        raise click.UsageError("expected one of --sheet-rows and --sheet-all")
    chosen = choose_pairs(data, **selection)
    size = size or SIZE
    opened = open_models(models, size)
    inputs = [path for pair in chosen.every for path in (pair.thermal, pair.visible)]
    inputs += [path for one in opened for path in one.files]
    check_targets((json_path, csv, sheet), inputs)
    perceptual_metric = None
    try:
        perceptual_metric = open_perceptual_metric()
    except MissingDependencyError as error:
        click.echo(f"ladle-rt: left out: {error}", err=True)
    found = evaluate(
        opened,
        chosen.pairs,
        chosen.trained_on,
        watch,
        look=look or "auto",
        size=size,
        perceptual_metric=perceptual_metric,
    )
    show(*tables(found))
    write_json(json_path, found.to_dict())
    write_text(csv, found.to_csv())
    if sheet is not None:
        picture = contact_sheet(found, opened, None if sheet_all else sheet_rows or 4)
        write_png(sheet, Picture("rgb24", picture, picture.shape[1], picture.shape[0]))
    for failure in found.failures:
        click.echo(f"ladle-rt: error: {failure}", err=True)
    if found.failures:
        raise PartialResultError(
            f"{len(found.failures)} of {len(chosen.pairs)} pairs could not be scored and are "
            "left out"
        )


def _measure_videos(
    pairs: Sequence[Any], models: Sequence[str], limit: int | None, json_path: Path | None
) -> None:
    from ladle_rt.evaluation.evaluate_video import evaluate_video
    from ladle_rt.evaluation.open_models import open_models
    from ladle_rt.evaluation.tables import video_table

    opened = open_models(models)
    inputs = [path for pair in pairs for path in (pair.thermal, pair.visible)]
    inputs += [path for one in opened for path in one.files]
    check_targets((json_path,), inputs)
    reports = [evaluate_video(opened, pair, limit) for pair in pairs]
    show(video_table(reports))
    write_json(json_path, {"videos": [report.to_dict() for report in reports]})
    failures = [report.failure for report in reports if report.failure]
    for failure in failures:
        click.echo(f"ladle-rt: error: {failure}", err=True)
    if failures:
        raise PartialResultError(f"{len(failures)} of {len(reports)} videos are not whole")
