"""``ladle-rt serve``: many cameras, one engine, one page."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("serve")
@click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@click.option("--token", envvar="LADLE_RT_TOKEN", help="What the page asks for, rather than the "
              "file's.")  # fmt: skip
@click.option("--check", is_flag=True, help="Say whether the file is right, and end.")
def command(config: Path, token: str | None, check: bool) -> None:
    """Translate many cameras on one machine, as a file says.

    The colours are synthesised, not measured, and objects can vanish in them. Cameras are added,
    changed and removed by editing the file; a file with an error changes nothing. SIGHUP reads it
    at once, SIGTERM and Ctrl-C end all cameras with their files whole.
    """
    import logging
    import threading

    from ladle_rt.pipeline.interrupt import stop_on_signals
    from ladle_rt.serve.serve_config import load_config
    from ladle_rt.serve.serve_file import serve_file

    if check:
        names = ", ".join(camera.name for camera in load_config(config).camera)
        click.echo(f"{config}: cameras {names}")
        return
    logging.getLogger("ladle_rt.stream").setLevel(logging.INFO)
    reload = threading.Event()
    with stop_on_signals(reload) as stop:
        figures = serve_file(
            config,
            stop=stop,
            reload=reload,
            notify=lambda line: click.echo(line, err=True),
            token=token,
        )
    for name, one in figures.items():
        dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(one.dropped.items()))
        click.echo(
            f"{name}: {one.presented} of {one.captured} frames presented"
            f"{f' ({dropped})' if dropped else ''}",
            err=True,
        )
