"""What the command line says, and its exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.cli.archive_command import command
from ladle_rt.errors import PartialResultError


def test_dry_run_then_run_then_nothing_left(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_recording(tmp_path / "in" / "a.mkv", 40)
    (tmp_path / "in" / "junk.mkv").write_bytes(b"junk")
    inline()
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--model", str(tiny_model)]
    words += ["--preset", "ultrafast", "--threads", "1"]
    command.main([*words, "--dry-run"], standalone_mode=False)
    told = capsys.readouterr().out
    assert told.startswith("2 recordings to translate") and "frames, 0.0" in told
    assert not (tmp_path / "out").exists()
    with pytest.raises(PartialResultError, match="1 recordings failed and 0 are damaged"):
        command.main(words, standalone_mode=False)
    assert "1 translated, 0 there already, 1 failed, 40 frames" in capsys.readouterr().out
    (tmp_path / "in" / "junk.mkv").unlink()
    command.main([*words, "--dry-run"], standalone_mode=False)
    assert capsys.readouterr().out == "0 recordings to translate (0.00 GiB), 1 there already\n"


def test_a_signal_leaves_what_is_finished(
    write_recording: Callable[..., Path],
    tmp_path: Path,
    tiny_model: Path,
    inline: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    import os
    import signal

    from ladle_rt.archive.tasks import Event, SegmentDone, Task

    write_recording(tmp_path / "in" / "a.mkv", 60)

    def interrupt(task: Task, event: Event) -> Event:
        if isinstance(event, SegmentDone) and event.record.number == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return event

    made = inline(count=1, meddle=interrupt)
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--model", str(tiny_model)]
    words += ["--preset", "ultrafast", "--threads", "1", "--segment", "2"]
    with pytest.raises(SystemExit) as ended:
        command.main(words, standalone_mode=False)
    assert ended.value.code == 130
    assert "goes on from here" in capsys.readouterr().err
    command.main(words, standalone_mode=False)
    assert "1 translated" in capsys.readouterr().out and not made[-1].runs
