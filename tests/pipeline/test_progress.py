from __future__ import annotations

import io

from ladle_rt.frame_stats import FrameStats
from ladle_rt.pipeline.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_frames_and_rate() -> None:
    terminal = Terminal()
    with ProgressBar(terminal, "in.mp4") as bar:
        assert bar.callback is not None
        counts = FrameStats(captured=25, presented=20, in_flight=5, elapsed_s=2.0)
        bar.callback(counts, 40)
    assert "20 frames, 10.0 fps" in terminal.getvalue()


def test_a_pipe_sees_nothing() -> None:
    pipe = io.StringIO()
    with ProgressBar(pipe, "in.mp4") as bar:
        assert bar.callback is None
    assert pipe.getvalue() == ""
