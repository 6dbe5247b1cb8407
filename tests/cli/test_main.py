"""The command line as a whole: light, one line per error, exit codes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ladle_rt import __version__
from ladle_rt.cli import COMMANDS, cli, main, models_command
from ladle_rt.errors import (
    ConfigError,
    InputNotFoundError,
    LadleError,
    OutputError,
    PartialResultError,
)

HEAVY = ("numpy", "cv2", "av", "onnxruntime", "openvino", "onnx", "torch", "rich")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """`main` sets up logging for the process; the tests after it keep their own."""
    loggers = [logging.getLogger(name) for name in ("ladle_rt", "ladle_rt.engine")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def loaded_after(code: str) -> str:
    done = python(f"{code}\nimport sys\nprint([n for n in {HEAVY} if n in sys.modules])")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_import_loads_nothing_heavy() -> None:
    assert loaded_after("import ladle_rt") == "[]"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nimport ladle_rt.cli\n"
        f"for words in {[['--help'], *([name, '--help'] for name in COMMANDS)]}:\n"
        "    sys.argv = ['ladle-rt', *words]\n"
        "    try: ladle_rt.cli.main()\n"
        "    except SystemExit as end: assert end.code == 0, words\n"
        "    else: raise AssertionError(words)"
    )
    assert loaded_after(code) == "[]"


def test_help_says_that_colours_are_synthesised() -> None:
    assert "synthesised by a network, not measured" in (cli.help or "")


def test_every_command_exists() -> None:
    for name in COMMANDS:
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None and command.name == name and command.help


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("expected a"), 1, "ladle-rt: error: expected a\n"),
        (InputNotFoundError("no x"), 1, "ladle-rt: error: no x\n"),
        (OutputError("disk full"), 1, "ladle-rt: error: disk full\n"),
        (PartialResultError("some"), 3, "ladle-rt: error: some\n"),
        (KeyboardInterrupt(), 130, "ladle-rt: interrupted\n"),
    ],
)
def test_errors_are_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: LadleError | KeyboardInterrupt,
    code: int,
    line: str,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(models_command.command, "callback", fail)
    monkeypatch.setattr(sys, "argv", ["ladle-rt", "models"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code
    assert capsys.readouterr().err.endswith(line)


def test_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(models_command.command, "callback", fail)
    monkeypatch.setattr(sys, "argv", ["ladle-rt", "models"])
    with pytest.raises(ZeroDivisionError):
        main()


def test_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["nothing"], ["video"], ["video", "a", "b", "--crf", "99"]):
        monkeypatch.setattr(sys, "argv", ["ladle-rt", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        assert "Usage" in capsys.readouterr().err


def test_a_mistyped_command_is_answered_with_the_right_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for word, hint in (("vidoe", "did you mean video?"), ("xyz", "commands are video, stream,")):
        monkeypatch.setattr(sys, "argv", ["ladle-rt", word, "in.mp4"])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        assert f"no such command '{word}'; {hint}" in capsys.readouterr().err


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ladle-rt", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert __version__ in capsys.readouterr().out


def test_the_package_runs_as_a_module() -> None:
    done = python("import runpy, sys; sys.argv = ['x', '--version']; runpy.run_module('ladle_rt')")
    assert done.returncode == 0 and done.stdout == ""
    done = python(
        "import runpy, sys; sys.argv = ['x', '--version']\n"
        "runpy.run_module('ladle_rt', run_name='__main__')"
    )
    assert done.returncode == 0 and __version__ in done.stdout


def test_warnings_of_the_library_are_lines_on_stderr() -> None:
    done = python(
        "import logging, sys\n"
        "from ladle_rt.cli import main, models_command as models\n"
        "def work():\n"
        "    log = logging.getLogger('ladle_rt.sources')\n"
        "    log.warning('sound left out')\n"
        "    log.info('not shown')\n"
        "models.command.callback = work\n"
        "sys.argv = ['ladle-rt', 'models']\n"
        "main()"
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "ladle-rt: warning: sound left out\n"


@pytest.mark.skipif(os.name != "posix", reason="a pipe without a reader is a POSIX matter")
@pytest.mark.parametrize("words", [["--help"], ["video", "--help"], ["work"]])
def test_a_reader_that_has_gone_is_no_accident(words: list[str]) -> None:
    """``ladle-rt ... | head -0``: quiet, also at the interpreter's end."""
    code = (
        "import sys, click\n"
        "from ladle_rt.cli import main, models_command as models\n"
        "models.command.callback = lambda: print('much', flush=True)\n"
        f"sys.argv = ['ladle-rt', *{['models'] if words == ['work'] else words}]\n"
        "main()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
