"""``ladle-rt stream``: a live source in, colour pictures to window, page, files and network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._options import (
    given,
    read_options,
    read_settings,
    translate_options,
    translate_settings,
)

_PATH = click.Path(path_type=Path)


@click.command("stream")
@click.option(
    "--device",
    required=True,
    metavar="SOURCE",
    help="/dev/video0, rtsp://..., udp://..., file, folder, csi:0, gst:PIPELINE, synthetic, "
    "recording:FILE; `ladle-rt sources` lists cameras.",
)
@click.option("--width", type=click.IntRange(min=1), help="Of the camera's picture.")
@click.option("--height", type=click.IntRange(min=1), help="Of the camera's picture.")
@click.option("--fps", type=click.FloatRange(min=0, min_open=True), help="Of the camera.")
@click.option("--format", "pixel_format", help="The camera's: Y16, GREY, YUYV, MJPG.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Lost after; 5 s.")
@click.option("--realtime", is_flag=True, help="Play a recording at its own pace.")
@click.option("--loop", is_flag=True, help="Begin a recording again at its end.")
@click.option("--allow-colour", is_flag=True, help="Use the luminance of a coloured input.")
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="SINK",
    help="out.mkv, out.mp4, folder/, rtsp://..., udp://..., recording:FILE, v4l2:/dev/video9, "
    "pipe:PATH, shm:NAME, null; may be given several times.",
)
@click.option("--window/--no-window", default=None, help="Show a window; by default if nothing "
              "else was asked for.")  # fmt: skip
@click.option("--preview", metavar="[HOST:]PORT", help="Serve a page; localhost unless HOST.")
@click.option("--token", envvar="LADLE_RT_TOKEN", help="What the page asks for.")
@click.option(
    "--policy",
    type=click.Choice(["latest", "block", "drop-oldest"]),
    help="When frames come too fast; latest for live sources, block for recordings.",
)
@click.option("--max-frames", type=click.IntRange(min=1), help="End after so many captured.")
@click.option("--latency-budget", "latency_budget_ms", type=click.FloatRange(min=0, min_open=True),
              metavar="MS", help="Use the largest network that is not later.")  # fmt: skip
@click.option("--steady", type=click.FloatRange(0, 1), help="Flicker suppression, 0 to 1; 0.75.")
@click.option("--skip-unchanged", is_flag=True, help="No network while nothing changes.")
@click.option("--agc", metavar="MODE", help="percentile, fixed:LOW:HIGH, plateau, clahe.")
@click.option("--dead-pixels", is_flag=True, help="Replace stuck pixels.")
@click.option("--stripes", is_flag=True, help="Suppress row and column stripes.")
@click.option("--no-shutter", is_flag=True, help="Show frames of a closed shutter too.")
@click.option("--palette", help="Of the thermal picture: white-hot, black-hot, ironbow, ...")
@click.option("--stats", type=_PATH, metavar="FILE", help="Figures as JSON lines.")
@click.option("--trace", type=_PATH, metavar="FILE", help="Chrome trace of every frame.")
@click.option("--log-every", "log_every_s", type=click.FloatRange(min=0), metavar="S",
              help="Seconds between lines of figures; 10, 0 for none.")  # fmt: skip
@click.option("--record-folder", type=_PATH, help="For recordings and snapshots by key or button.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@read_options
@translate_options
def command(
    device: str,
    width: int | None,
    height: int | None,
    fps: float | None,
    pixel_format: str | None,
    timeout: float | None,
    realtime: bool,
    loop: bool,
    allow_colour: bool,
    agc: str | None,
    dead_pixels: bool,
    stripes: bool,
    no_shutter: bool,
    model: str | None,
    **options: Any,
) -> None:
    """Turn live thermal video into colour video.

    The colours are synthesised, not measured. Ends with the source, with Ctrl-C, with q in the
    window or after --max-frames; files are whole then.
    """
    import logging

    from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
    from ladle_rt.pipeline.factory import FOR_VIDEO, TranslatorFactory
    from ladle_rt.pipeline.interrupt import stop_on_signals
    from ladle_rt.pipeline.stream import StreamJob, stream
    from ladle_rt.sources.base import SourceOptions
    from ladle_rt.thermal.frontend import FrontEndOptions

    logging.getLogger("ladle_rt.stream").setLevel(logging.INFO)
    source = SourceOptions(
        width=width,
        height=height,
        fps=fps,
        format=pixel_format,
        realtime=realtime,
        loop=loop,
        allow_colour=allow_colour,
        read=read_settings(options),
        **given(timeout_s=timeout),
    )
    front = FrontEndOptions.parse(
        agc or "percentile", dead_pixels=dead_pixels, stripes=stripes, shutter=not no_shutter
    )
    names = ("backend", "engines", "warm_start", "threads", "quality", "size", "detail", "layout",
             "mark")  # fmt: skip
    translate = {name: options.pop(name) for name in names}
    settings = translate_settings(**translate, fixed_range=front.fixed_range)
    job = StreamJob(device=device, source=source, front=front, **given(**options))
    artifact = load_artifact(model or DEFAULT_MODEL)
    climbs = job.latency_budget_ms is not None
    translators = TranslatorFactory(artifact, settings, "fast", FOR_VIDEO, climbs)
    with stop_on_signals() as stop:
        result = stream(
            job,
            artifact,
            translators,
            translators.size.largest,
            stop=stop,
            tell=lambda line: click.echo(line, err=True),
        )
    run = result.statistics
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(run.dropped.items()))
    latency = run.latency_ms
    click.echo(
        f"{run.presented} of {run.captured} frames presented in {run.elapsed_s:.1f} s"
        f"{f' ({dropped})' if dropped else ''}; "
        f"latency p50 {latency.p50:.1f} p95 {latency.p95:.1f} p99 {latency.p99:.1f} ms",
        err=True,
    )
    if result.failures:
        from ladle_rt.errors import PartialResultError

        raise PartialResultError("; ".join(result.failures))
