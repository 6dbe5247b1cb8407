"""A folder of thermal images into PNG files.  python examples/folder.py [IN OUT]"""

import sys
import tempfile
from pathlib import Path

import cv2

import ladle_rt
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource

if len(sys.argv) > 1:
    source, target = map(Path, sys.argv[1:3])
else:
    source = Path(tempfile.mkdtemp(prefix="thermal-"))
    target = source / "colour"
    for frame in SyntheticSource(DriveOptions(256, 192, rate=4, seconds=1)):
        cv2.imwrite(str(source / f"{frame.sequence}.png"), frame.pixels)

count = ladle_rt.translate_images([source], target, on_failure=print)
print(f"{count} images in {target}:", *sorted(path.name for path in target.glob("*.png")))
