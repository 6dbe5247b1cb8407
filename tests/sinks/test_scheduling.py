"""What an encoder does to the process's scheduling is undone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

WRITES_AV1 = """
import os, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.config import VideoEncoding
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.video_sink import VideoSink

sink = VideoSink(Path(sys.argv[1]), SinkContext(64, 64, Fraction(25), Fraction(1, 25),
                 encoding=VideoEncoding("av1")))
for index in range(100):
    frame = Frame(np.zeros((64, 64), np.uint8), index, 0, index, Fraction(1, 25))
    sink.write(TranslatedFrame(frame, Picture("yuv420p", np.zeros((96, 64), np.uint8), 64, 64)))
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    # Threads that the encoder's threads start come later: the next frame finds them.
    policies = {os.sched_getscheduler(int(task)) for task in os.listdir("/proc/self/task")}
    if index > 1 and policies == {os.SCHED_OTHER}:
        break
else:
    sys.exit(f"still real-time: {policies}")
sink.close()
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
@pytest.mark.skipif("libsvtav1" not in av.codecs_available, reason="FFmpeg has no libsvtav1")
def test_av1_leaves_no_thread_real_time(tmp_path: Path) -> None:
    # A process of its own: this one's threads, left real-time, would starve the other tests.
    if os.geteuid() != 0:
        pytest.skip("only root's threads may become real-time")
    done = subprocess.run(
        [sys.executable, "-c", WRITES_AV1, str(tmp_path / "out.webm")],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
