"""The command line: parse, call the library, format.

Commands are imported when they are called or listed, and import the library when they run, so
that ``ladle-rt --help`` loads neither NumPy nor any engine.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import sys

import click

from ladle_rt import __version__
from ladle_rt.cli._standard_streams import keep_standard_streams
from ladle_rt.errors import LadleError, PartialResultError

COMMANDS = (
    "video",
    "stream",
    "serve",
    "sources",
    "doctor",
    "image",
    "archive",
    "sample",
    "models",
    "evaluate",
    "parity",
    "benchmark",
    "train",
    "experiment",
    "finish",
    "export",
    "calibrate",
    "build-engine",
    "engines",
)
"""Names; each is the attribute ``command`` of its module: ``build-engine`` of
``build_engine_command``."""

OPENCV_REMEDY = (
    "run: pip install --force-reinstall --no-deps opencv-python-headless; "
    "or, to have the window: apt-get install libgl1 libglib2.0-0 libsm6"
)

EXIT_ERROR = 1
EXIT_PARTIAL = 3
EXIT_INTERRUPTED = 130


class _Commands(click.Group):
    """Finds commands by name without importing the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ladle_rt.cli.{cmd_name.replace('-', '_')}_command")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not ctx.resilient_parsing and not name.startswith("-"):
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"commands are {', '.join(COMMANDS)}"
            ctx.fail(f"no such command {name!r}; {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ladle-rt")
def cli() -> None:
    """Turn thermal-infrared video into natural-looking colour video.

    The colours are synthesised by a network, not measured.
    """


def main() -> None:
    """Entry point: errors of this package become one line and an exit code."""
    keep_standard_streams()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("ladle-rt: %(levelname)s: %(message)s"))
    logging.addLevelName(logging.INFO, "info")
    logging.addLevelName(logging.WARNING, "warning")
    logging.addLevelName(logging.ERROR, "error")
    logging.getLogger("ladle_rt").addHandler(handler)
    # Which engine translates, and why, is told unasked.
    logging.getLogger("ladle_rt.engine").setLevel(logging.INFO)
    logging.getLogger("ladle_rt.input").setLevel(logging.INFO)
    try:
        status = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except click.Abort:
        click.echo("ladle-rt: interrupted", err=True)
        status = EXIT_INTERRUPTED
    except LadleError as error:
        click.echo(f"ladle-rt: error: {error}", err=True)
        status = EXIT_PARTIAL if isinstance(error, PartialResultError) else EXIT_ERROR
    except BrokenPipeError:
        # `ladle-rt models | head`; nothing is left to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = EXIT_ERROR
    except ImportError as error:
        # OpenCV with windows, in a container without the libraries of a desktop.
        if error.name != "cv2":
            raise
        click.echo(f"ladle-rt: error: OpenCV cannot be loaded ({error}); {OPENCV_REMEDY}", err=True)
        status = EXIT_ERROR
    sys.exit(status)
