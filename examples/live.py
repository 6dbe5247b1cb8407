"""A camera, or whatever `ladle-rt stream` takes, as colour arrays.

python examples/live.py [SOURCE [FRAMES]]     /dev/video0, rtsp://..., a file; synthetic
"""

import sys
import time

import ladle_rt
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.select import open_source

spec = sys.argv[1] if len(sys.argv) > 1 else "synthetic:256x192@30"
frames = int(sys.argv[2]) if len(sys.argv) > 2 else 20

with open_source(spec, SourceOptions()) as camera, ladle_rt.load(quality="fast") as translate:
    started_s = time.monotonic()
    for number, rgb in enumerate(translate.stream(camera), 1):
        # The picture is yours: HxWx3, uint8.
        if number % 10 == 0:
            print("mean colour", *rgb.mean(axis=(0, 1)).round(1))
        if number == frames:
            break
    rate = number / (time.monotonic() - started_s)
print(f"{number} pictures of {rgb.shape[1]}x{rgb.shape[0]} from {spec}, {rate:.1f} per second")
