"""``ladle-rt stream``: a live source in, colour pictures to window, page, files and network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._options import given, translate_settings, video_options
from ladle_rt.cli._read_options import read_options, read_settings

_PATH = click.Path(path_type=Path)


@click.command("stream")
@click.option(
    "--device",
    required=True,
    metavar="SOURCE",
    help="/dev/video0, rtsp://..., udp://..., file, folder, csi:0, gst:PIPELINE, synthetic, "
    "recording:FILE; `ladle-rt sources` lists cameras and all kinds.",
)
@click.option("--width", type=click.IntRange(min=1), help="Of the camera's picture.")
@click.option("--height", type=click.IntRange(min=1), help="Of the camera's picture.")
@click.option("--fps", type=click.FloatRange(min=0, min_open=True), help="Of the camera.")
@click.option("--format", "pixel_format", help="The camera's: Y16, GREY, YUYV, MJPG.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Lost after; 5 s.")
@click.option("--wait", is_flag=True, help="Wait for a source that is not there yet.")
@click.option("--realtime", is_flag=True, help="Play a recording at its own pace.")
@click.option("--loop", is_flag=True, help="Begin a recording again at its end.")
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
@click.option("--stats", type=_PATH, metavar="FILE", help="Figures as JSON lines.")
@click.option("--trace", type=_PATH, metavar="FILE", help="Chrome trace of every frame.")
@click.option("--log-every", "log_every_s", type=click.FloatRange(min=0), metavar="S",
              help="Seconds between lines of figures; 10, 0 for none.")  # fmt: skip
@click.option("--record-folder", type=_PATH, help="For recordings and snapshots by key or button.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@read_options
@video_options
def command(
    device: str,
    width: int | None,
    height: int | None,
    fps: float | None,
    pixel_format: str | None,
    timeout: float | None,
    wait: bool,
    realtime: bool,
    loop: bool,
    outputs: tuple[str, ...],
    window: bool | None,
    preview: str | None,
    token: str | None,
    policy: Any,
    max_frames: int | None,
    latency_budget_ms: float | None,
    stats: Path | None,
    trace: Path | None,
    log_every_s: float | None,
    record_folder: Path | None,
    overwrite: bool,
    model: str | None,
    **options: Any,
) -> None:
    """Turn live thermal video into colour video.

    The colours are synthesised, not measured, and objects can vanish in them. Ends with the
    source, with Ctrl-C, with q in the window or after --max-frames; files are whole then.
    """
    import logging

    from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
    from ladle_rt.pipeline.interrupt import stop_on_signals
    from ladle_rt.pipeline.stream_job import StreamJob, stream
    from ladle_rt.sources.base import SourceOptions
    from ladle_rt.translate.select import FOR_VIDEO, TranslatorFactory

    logging.getLogger("ladle_rt.stream").setLevel(logging.INFO)
    read = read_settings(options)
    settings = translate_settings(**options)
    source = SourceOptions(
        width=width,
        height=height,
        fps=fps,
        format=pixel_format,
        wait=wait,
        realtime=realtime,
        loop=loop,
        allow_colour=settings.allow_colour,
        start_s=settings.start_s,
        duration_s=settings.duration_s,
        read=read,
        **given(timeout_s=timeout),
    )
    job = StreamJob(
        device=device,
        source=source,
        options=settings,
        **given(
            outputs=outputs,
            window=window,
            preview=preview,
            token=token,
            policy=policy,
            max_frames=max_frames,
            latency_budget_ms=latency_budget_ms,
            stats=stats,
            trace=trace,
            log_every_s=log_every_s,
            record_folder=record_folder,
            overwrite=overwrite,
        ),
    )
    artifact = load_artifact(model or DEFAULT_MODEL)
    chosen = settings.quality is not None or settings.size is not None
    climbs = job.latency_budget_ms is not None or not chosen
    translators = TranslatorFactory(artifact, settings, "fast", FOR_VIDEO, climbs)
    with stop_on_signals() as stop:
        result = stream(
            job,
            artifact,
            translators,
            translators.size.boxes,
            stop=stop,
            notify=lambda line: click.echo(line, err=True),
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
