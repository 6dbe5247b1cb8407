"""A sink of one's own: a strip of every n-th picture, and when each was taken.

python examples/own_sink.py [VIDEO]
"""

import sys

import numpy as np

import ladle_rt
from ladle_rt.frames import TranslatedFrame
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource


class Strip:
    """Keeps every n-th picture; what it is given belongs to it."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.kept: list[TranslatedFrame] = []

    def write(self, translated: TranslatedFrame) -> None:
        if translated.frame.sequence % self.every == 0:
            self.kept.append(translated)


if len(sys.argv) > 1:
    frames = ladle_rt.read_video(sys.argv[1])
else:
    frames = SyntheticSource(DriveOptions(256, 192, rate=10, seconds=1.5))

strip = Strip(every=5)
with ladle_rt.load(quality="fast") as translate:
    for translated in translate.stream_frames(frames):
        strip.write(translated)
picture = np.hstack([translated.picture.data for translated in strip.kept])
times = [f"{translated.frame.time_s:.2f} s" for translated in strip.kept]
print(f"a strip of {picture.shape[1]}x{picture.shape[0]} pixels:", *times)
