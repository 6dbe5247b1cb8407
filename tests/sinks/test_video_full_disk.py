from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL_DISK = """
import resource, sys
from pathlib import Path
from ladle_rt.errors import OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.config import VideoEncoding
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.video_sink import VideoSink
from fractions import Fraction
import numpy as np
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
rng = np.random.default_rng(0)
sink = VideoSink(Path(sys.argv[1]), SinkContext(64, 64, Fraction(25), Fraction(1, 25),
                 encoding=VideoEncoding(preset="ultrafast")))
try:
    for n in range(int(sys.argv[2])):
        data = rng.integers(16, 235, (96, 64), dtype=np.uint8)
        frame = Frame(data[:64], n, n, n, Fraction(1, 25))
        sink.write(TranslatedFrame(frame, Picture("yuv420p", data, 64, 64)))
    sink.close()
except OutputError as error:
    print(error)
    sys.exit(7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize(("frames", "limit"), [(3, 4096), (400, 60_000)])
def test_a_full_disk_leaves_nothing(tmp_path: Path, frames: int, limit: int) -> None:
    """3 frames stay in a buffer and overflow while closing, 400 while writing."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            FULL_DISK,
            str(tmp_path / "out.mp4"),
            str(frames),
            str(limit),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 7, done.stderr
    assert "cannot be written" in done.stdout
    assert os.listdir(tmp_path) == []
