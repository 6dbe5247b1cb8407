"""``ladle-rt archive``: many recordings, on this machine or on a Ray cluster."""

from __future__ import annotations

from typing import Any

import click

from ladle_rt.cli._options import given, translate_settings, video_options
from ladle_rt.cli._read_options import read_options, read_settings


@click.command("archive")
@click.argument("sources", metavar="SRC...", nargs=-1, required=True)
@click.argument("target", metavar="DST")
@read_options
@video_options
@click.option("--container", type=click.Choice(["mp4", "mkv"]), help="Of the videos in DST; mp4.")
@click.option(
    "--segment",
    "segment_s",
    type=float,
    metavar="SECONDS",
    help="What a kill may cost each worker; 60.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Segments at a time; what there is room for."
)
@click.option(
    "--address", metavar="auto|ray://HOST:PORT", help="A Ray cluster; without: this machine."
)
@click.option("--gpus", type=click.FloatRange(min=0), help="Of each worker there, e.g. 0.25.")
@click.option(
    "--memory-mb", type=click.IntRange(min=1), help="Of each worker there, megabytes; 1500."
)
@click.option("--overwrite", is_flag=True, help="Replace videos that are of something else.")
@click.option("--dry-run", is_flag=True, help="Only say what there is to do, and how long.")
def command(
    sources: tuple[str, ...],
    target: str,
    model: str | None,
    dry_run: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Translate the recordings SRC, files and folders, into videos in DST.

    SRC and DST are paths or URLs (s3://bucket/folder; extra `scale`). DST gets PATH/STEM.mp4 for
    each recording. Run it again after whatever happened: it goes on where it was, and what is
    done is left alone.

    The colours are synthesised, not measured, and objects can vanish in them.
    """
    import sys

    from ladle_rt.archive.archive_progress import ArchiveBar
    from ladle_rt.archive.run_archive import ArchiveJob, estimate_archive, run_archive
    from ladle_rt.errors import PartialResultError
    from ladle_rt.pipeline.interrupt import stop_on_signals

    names = ("container", "segment_s", "workers", "address", "gpus", "memory_mb")
    own = given(**{name: options.pop(name) for name in names})
    read = read_settings(options)
    settings = translate_settings(**options)
    job = ArchiveJob(sources, target, model, settings, read, overwrite=overwrite, **own)
    if dry_run:
        click.echo(estimate_archive(job).to_text())
        return
    with stop_on_signals() as stop, ArchiveBar(sys.stderr) as bar:
        report = run_archive(job, stop=stop, on_progress=bar.update)
    click.echo(report.to_text())
    if report.stopped:
        click.echo("ladle-rt: interrupted; the same command goes on from here", err=True)
        raise SystemExit(130)
    if not report.complete:
        raise PartialResultError(
            f"{len(report.failures)} recordings failed and {len(report.damaged)} are damaged; "
            "see the report above, or .ladle-rt/report.json in DST"
        )
