"""What `kill -9` leaves beside the output goes with the next run into the same folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import write_ramp

from ladle_rt.files import leftovers

KILLED = """
import os, signal, sys
from ladle_rt import cli, files
files.publish = lambda *words, **more: os.kill(os.getpid(), signal.SIGKILL)
cli.main()
"""
"""A command that is killed when its first file is whole and not yet in its place."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="ends processes by a POSIX signal")


@pytest.mark.parametrize("kind", ["image", "video"])
def test_the_next_run_cleans_up(kind: str, tmp_path: Path, tiny_model: Path) -> None:
    engine = ["--model", str(tiny_model), "--backend", "onnxruntime"]
    out = tmp_path / "out"
    out.mkdir()
    if kind == "image":
        cv2.imwrite(str(tmp_path / "t.png"), np.arange(64, dtype=np.uint8).reshape(8, 8))
        words = ["image", str(tmp_path / "t.png"), "-o", str(out), *engine]
    else:
        clip = write_ramp(tmp_path / "t.mp4", 6)
        words = ["video", str(clip), str(out / "o.mp4"), *engine]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert len(leftovers(out)) == 1 and len(os.listdir(out)) == 1
    subprocess.run([sys.executable, "-m", "ladle_rt", *words], check=True, timeout=120)
    assert leftovers(out) == [] and len(os.listdir(out)) == 1
