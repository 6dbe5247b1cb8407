"""A plan built by a process of its own, which goes on when the one that asked for it ends.

TensorRT builds for minutes inside C++ that calls back into Python. In a thread, that is torn down
in the middle when the process ends, and crashes it; nor would a short run ever get its plan.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ladle_rt.engines.plan.settings import BuildSettings
from ladle_rt.errors import BackendError

POLL_S = 0.1
_ERROR = "ladle-rt: error: "
Notify = Callable[[str], object]


def build_in_subprocess(
    model: Path,
    folder: Path,
    settings: BuildSettings,
    notify: Notify,
    leave: threading.Event | None = None,
) -> None:
    """Run ``ladle-rt build-engine`` in another session, where Ctrl-C does not reach it, and wait.

    Args:
        model: ``.onnx`` file.
        folder: where the plan will lie.
        settings: without a span; that of plans for every size is the command's own default.
        notify: gets the builder's lines.
        leave: once set, the builder is left to itself and will end by itself; ``None``: it is
            ended where the waiting is interrupted.

    Raises:
        BackendError: it could not be started, failed, or was left.
    """
    with tempfile.TemporaryFile() as output:
        try:
            builder = subprocess.Popen(
                _command(model, folder, settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise BackendError(f"the plan's builder does not start: {error}") from error
        lines = _Lines(output, notify)
        try:
            while builder.poll() is None:
                if leave is None:
                    _wait(builder)
                elif leave.wait(POLL_S):
                    raise BackendError(
                        f"process {builder.pid} goes on building the plan, for the next run"
                    )
                lines.relay()
        except BaseException:
            if leave is None:
                builder.terminate()
                builder.wait()
            raise
        lines.relay()
        if builder.returncode:
            raise BackendError(lines.error or _ended(builder.returncode))


def _command(model: Path, folder: Path, settings: BuildSettings) -> list[str]:
    words = [sys.executable, "-m", "ladle_rt", "build-engine"]
    words += ["--model", str(model), "--output", str(folder)]
    words += ["--opt-level", str(settings.optimization_level)]
    for height, width in settings.sizes:
        words += ["--size", f"{width}x{height}"]
    if settings.batch > 1:
        words += ["--batch", str(settings.batch)]
    if settings.targets:
        words += ["--target", ",".join(settings.targets)]
    if settings.workspace_mib is not None:
        words += ["--workspace", str(settings.workspace_mib)]
    if settings.timing_cache is not None:
        words += ["--timing-cache", str(settings.timing_cache)]
    if settings.dla is not None:
        words += ["--dla", str(settings.dla)]
    return words


def _wait(builder: subprocess.Popen[bytes]) -> None:
    try:
        builder.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return


def _ended(status: int) -> str:
    how = f"with {status}" if status > 0 else f"by {signal.Signals(-status).name}"
    return f"the plan's builder was ended {how}; try `ladle-rt build-engine` by itself"


class _Lines:
    """Lines of a file that another process writes; its position is shared, so it stays as it is."""

    def __init__(self, file: IO[bytes], notify: Notify) -> None:
        self._number, self._read, self._begun = file.fileno(), 0, b""
        self._notify = notify
        self.error = ""
        """The command's own last word, where it failed."""

    def relay(self) -> None:
        """Tell what came since the last time."""
        found = os.pread(self._number, 1 << 20, self._read)
        self._read += len(found)
        *lines, self._begun = (self._begun + found).split(b"\n")
        for line in (line.decode(errors="replace") for line in lines):
            if line.startswith(_ERROR):
                self.error = line.removeprefix(_ERROR)
            else:
                self._notify(line)
