"""One thermal array in, one colour array out.  python examples/one_array.py [IMAGE]"""

import sys

import cv2
import numpy as np

import ladle_rt

if len(sys.argv) > 1:
    thermal = cv2.imread(sys.argv[1], cv2.IMREAD_UNCHANGED)
else:
    # Degrees, as a radiometric camera gives them: a warm disc on a cool slope.
    y, x = np.mgrid[:192, :256].astype(np.float32)
    disc = np.hypot(x - 120, y - 90) < 40
    thermal = (12 + y / 40 + 15 * disc).astype(np.float32)

with ladle_rt.load() as translate:
    rgb = translate(thermal)
print(f"{thermal.shape} {thermal.dtype} -> {rgb.shape} {rgb.dtype}, mean colour", end=" ")
print(*rgb.mean(axis=(0, 1)).round(1))
