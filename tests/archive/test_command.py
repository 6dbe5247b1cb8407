"""What the command line says, and its exit codes."""

from __future__ import annotations

import os
import signal

import pytest
from archives import Lab

from ladle_rt.archive.tasks import Event, SegmentDone, Task
from ladle_rt.cli.archive_command import command
from ladle_rt.errors import PartialResultError


def words(lab: Lab, *more: str) -> list[str]:
    places = [str(lab.folder / "in"), str(lab.out), "--model", str(lab.model)]
    return [*places, "--preset", "ultrafast", "--threads", "1", *more]


def test_dry_run_then_run_then_nothing_left(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.record(frames=40)
    junk = lab.folder / "in" / "junk.mkv"
    junk.write_bytes(b"junk")
    command.main(words(lab, "--dry-run"), standalone_mode=False)
    told = capsys.readouterr().out
    assert told.startswith("2 recordings to translate") and "frames, 0.0" in told
    assert not lab.out.exists()
    with pytest.raises(PartialResultError, match="1 recordings failed and 0 are damaged"):
        command.main(words(lab), standalone_mode=False)
    assert "1 translated, 0 there already, 1 failed, 40 frames" in capsys.readouterr().out
    junk.unlink()
    command.main(words(lab, "--dry-run"), standalone_mode=False)
    assert capsys.readouterr().out == "0 recordings to translate (0.00 GiB), 1 there already\n"


def test_a_signal_leaves_what_is_finished(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.record()

    def interrupt(task: Task, event: Event) -> Event:
        if isinstance(event, SegmentDone) and event.record.number == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return event

    lab.workers(count=1, meddle=interrupt)
    with pytest.raises(SystemExit) as ended:
        command.main(words(lab, "--segment", "2"), standalone_mode=False)
    assert ended.value.code == 130
    assert "goes on from here" in capsys.readouterr().err
    command.main(words(lab, "--segment", "2"), standalone_mode=False)
    assert "1 translated" in capsys.readouterr().out and not lab.made[-1].runs
