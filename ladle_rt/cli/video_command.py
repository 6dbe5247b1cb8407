"""``ladle-rt video``: a thermal video in, a colour video out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._options import translate_settings, video_options
from ladle_rt.cli._read_options import read_options, read_settings


@click.command("video")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@read_options
@video_options
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True),
    help="Of IN, where it is a folder, a pattern or a stack of images; 25.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def command(
    source: Path,
    target: Path,
    model: str | None,
    fps: float | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Turn the thermal video IN into the colour video OUT; either may be -, a pipe.

    IN may also be a folder of images, a pattern such as frame_%05d.png, or a stack of images.

    The colours are synthesised, not measured, and objects can vanish in them. OUT gets every
    frame with its time, and sound, date, place and chapters; Ctrl-C leaves a whole, shorter file.
    """
    import sys

    from ladle_rt.api import translate_video
    from ladle_rt.pipeline.interrupt import stop_on_signals
    from ladle_rt.pipeline.progress import ProgressBar

    read = read_settings(options)
    settings = translate_settings(**options)
    with stop_on_signals() as stop, ProgressBar(sys.stderr, source.name) as bar:
        result = translate_video(
            source,
            target,
            model=model,
            options=settings,
            overwrite=overwrite,
            read=read,
            fps=fps,
            progress=bar.callback,
            stop=stop,
        )
    run = result.statistics
    if result.output is not None:
        click.echo(
            f"{result.output}: {run.presented} frames in {run.elapsed_s:.1f} s "
            f"({run.frames_per_second:.1f} fps)",
            err=str(target) == "-",
        )
    if run.stopped:
        kept = "the file is whole but shorter" if result.output else "nothing was written"
        click.echo(f"ladle-rt: interrupted; {kept}", err=True)
        raise SystemExit(130)
