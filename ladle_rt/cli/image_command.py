"""``ladle-rt image``: thermal stills in, colour PNG files out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ladle_rt.cli._options import translate_options, translate_settings
from ladle_rt.cli._read_options import read_options, read_settings


@click.command("image")
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the results, <stem>.png each.",
)
@read_options
@translate_options
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def command(
    inputs: tuple[Path, ...],
    output: Path,
    model: str | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Turn thermal images IN (files or folders) into colour PNG files of the same size.

    The colours are synthesised, not measured, and objects can vanish in them. Date, place and
    camera (EXIF) are kept. Images that fail are named; the others are
    written all the same, and the exit code is 3.
    """
    import sys

    from ladle_rt.api import translate_images
    from ladle_rt.pipeline.progress import ProgressBar

    read = read_settings(options)
    settings = translate_settings(**options)
    with ProgressBar(sys.stderr, "images") as bar:
        count = translate_images(
            inputs,
            output,
            model=model,
            options=settings,
            overwrite=overwrite,
            read=read,
            on_failure=lambda error: click.echo(f"ladle-rt: error: {error}", err=True),
            progress=bar.counter,
        )
    click.echo(f"{output}: {count} images")
