"""``ladle-rt video``: a thermal video in, a colour video out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ladle_rt.cli._options import translate_options, translate_settings

if TYPE_CHECKING:
    from ladle_rt.translate.base import Translator


@click.command("video")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@translate_options
@click.option("--codec", help="FFmpeg encoder, or h264, h265, vp9, av1; by OUT otherwise.")
@click.option("--crf", type=click.IntRange(0, 63), help="Quality: smaller is better and larger.")
@click.option("--preset", help="The encoder's preset, for example veryfast or slow.")
@click.option("--start", type=click.FloatRange(min=0), default=0.0, help="Skip seconds of IN.")
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    help="Translate so many seconds.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option("--allow-colour", is_flag=True, help="Use the luminance of a coloured input.")
def command(
    source: Path,
    target: Path,
    model: str | None,
    codec: str | None,
    crf: int | None,
    preset: str | None,
    start: float,
    duration: float | None,
    overwrite: bool,
    allow_colour: bool,
    **options: Any,
) -> None:
    """Turn the thermal video IN into the colour video OUT.

    The colours are synthesised, not measured. OUT gets every frame with its time, and the
    sound; Ctrl-C leaves a whole, shorter file.
    """
    import sys

    from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
    from ladle_rt.pipeline.engine_choice import PictureSpec, make_translator
    from ladle_rt.pipeline.interrupt import stop_on_signals
    from ladle_rt.pipeline.network_size import NetworkSize
    from ladle_rt.pipeline.progress import ProgressBar
    from ladle_rt.pipeline.video import VideoJob, translate_video
    from ladle_rt.sinks.encoding import VideoEncoding

    settings = translate_settings(**options)
    job = VideoJob(
        input=source,
        output=target,
        start_s=start,
        duration_s=duration,
        encoding=VideoEncoding(codec, crf, preset),
        overwrite=overwrite,
        allow_colour=allow_colour,
    )

    def make(frame: tuple[int, int]) -> Translator:
        artifact = load_artifact(model or DEFAULT_MODEL)
        size = NetworkSize(settings, artifact.info, usual="balanced")
        picture = PictureSpec(pixel_format="yuv420p", even=True)
        return make_translator(artifact, size.settled(frame), picture, size.shapes(frame))

    with stop_on_signals() as stop, ProgressBar(sys.stderr, source.name) as bar:
        result = translate_video(
            job,
            make,
            stop=stop,
            on_source=lambda info: bar.expect(info.frames),
            on_progress=bar.callback,
        )
    run = result.statistics
    if result.output is not None:
        click.echo(
            f"{result.output}: {run.presented} frames in {run.elapsed_s:.1f} s "
            f"({run.frames_per_second:.1f} fps)"
        )
    if run.stopped:
        kept = "the file is whole but shorter" if result.output else "nothing was written"
        click.echo(f"ladle-rt: interrupted; {kept}", err=True)
        raise SystemExit(130)
