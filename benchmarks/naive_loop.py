"""The loop everybody writes first: read, resize, run, resize, write, one after another.

    python benchmarks/naive_loop.py IN.mp4 OUT.mp4 MODEL.onnx WIDTHxHEIGHT

cv2 decodes and resizes, ONNX Runtime runs with its defaults on two threads, PyAV encodes with
the very settings of `ladle-rt video`, so that only the structure differs.
"""

from __future__ import annotations

import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import onnxruntime


def main(source: str, target: str, model: str, size: str) -> None:
    """Translate a file; ``size`` is the network's."""
    network = tuple(int(side) for side in size.split("x"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    capture = cv2.VideoCapture(source)
    rate = Fraction(capture.get(cv2.CAP_PROP_FPS)).limit_denominator(1001)
    width, height = (
        int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    with av.open(target, "w") as container:
        stream = container.add_stream("libx264", rate, options={"preset": "veryfast", "crf": "19"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        while True:
            more, image = capture.read()
            if not more:
                break
            gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            small = cv2.resize(gray, network, interpolation=cv2.INTER_AREA)
            low, high = np.percentile(small, (0.5, 99.5))
            unit = np.clip((small - low) / max(high - low, 1), 0, 1).astype(np.float32)
            output = session.run(None, {"thermal": unit[None, None]})[0][0]
            rgb = (output.transpose(1, 2, 0) * 255).clip(0, 255).astype(np.uint8)
            full = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(full, format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main(*sys.argv[1:])
