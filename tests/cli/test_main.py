"""The command line as a whole: light, one line per error, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ladle_rt import __version__
from ladle_rt.cli import COMMANDS, cli, main, models
from ladle_rt.errors import ConfigError, LadleError, PartialResultError

HEAVY = ("numpy", "cv2", "av", "onnxruntime", "torch", "rich")
ROOT = Path(__file__).resolve().parents[2]


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "code",
    [
        "import ladle_rt",
        "import sys; sys.argv = ['ladle-rt', '--help']; import ladle_rt.cli\n"
        "try: ladle_rt.cli.main()\nexcept SystemExit as end: assert end.code == 0",
        *(
            f"import sys; sys.argv = ['ladle-rt', '{name}', '--help']; import ladle_rt.cli\n"
            "try: ladle_rt.cli.main()\nexcept SystemExit as end: assert end.code == 0"
            for name in ("video", "train")
        ),
    ],
)
def test_help_loads_nothing_heavy(code: str) -> None:
    done = python(f"{code}\nimport sys\nprint([n for n in {HEAVY} if n in sys.modules])")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_exists() -> None:
    for name in COMMANDS:
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None and command.name == name and command.help


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("expected a"), 1, "ladle-rt: error: expected a\n"),
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

    monkeypatch.setattr(models.command, "callback", fail)
    monkeypatch.setattr(sys, "argv", ["ladle-rt", "models"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code
    assert capsys.readouterr().err.endswith(line)


def test_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(models.command, "callback", fail)
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


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ladle-rt", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert __version__ in capsys.readouterr().out
