"""Pictures through a real pipe to another program."""

from __future__ import annotations

import io
import subprocess
import sys
from fractions import Fraction

import av
import pytest

CODE = """
import sys
from fractions import Fraction
import numpy as np
from ladle_rt.errors import OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.select import open_sinks
(sink,) = open_sinks([sys.argv[1]], SinkContext(64, 48, Fraction(9), Fraction(1, 9)))
try:
    for number in range(int(sys.argv[2])):
        data = np.full((72, 64), 128, np.uint8)
        data[:48] = 40 + number % 100
        frame = Frame(data[:48], number, 0, number + 90, Fraction(1, 9))
        sink.write(TranslatedFrame(frame, Picture("yuv420p", data, 64, 48)))
    sink.close()
except OutputError as error:
    sink.abort()
    print(error, file=sys.stderr)
    sys.exit(7)
"""


def run(spec: str, frames: int) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", CODE, spec, str(frames)], capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("spec", ["-", "y4m:-"])
def test_what_the_next_program_reads(spec: str) -> None:
    with av.open(io.BytesIO(run(spec, 10))) as container:
        assert container.format.name == ("yuv4mpegpipe" if spec != "-" else "matroska,webm")
        rate = container.streams.video[0].average_rate
        frames = list(container.decode(video=0))
    assert [frame.time for frame in frames] == pytest.approx([n / 9 for n in range(10)], abs=2e-3)
    levels = [int(frame.to_ndarray()[:48].mean()) for frame in frames]
    assert levels == pytest.approx([40 + number for number in range(10)], abs=3)
    if spec != "-":
        assert levels == [40 + number for number in range(10)]
        assert rate == Fraction(9)


@pytest.mark.parametrize("spec", ["-", "y4m:-"])
def test_a_reader_that_leaves_is_one_line(spec: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, spec, "5000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 7
    lines = [line for line in said.splitlines() if "standard output" in line]
    assert lines == [line for line in said.splitlines() if line] and len(lines) == 1
