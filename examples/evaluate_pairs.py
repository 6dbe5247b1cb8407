"""Score a model on one's own pairs of thermal and visible images.

python examples/evaluate_pairs.py [FOLDER]     with two folders of equal names: ir and vi
"""

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from ladle_rt.datasets import find_pairs
from ladle_rt.evaluation.evaluate import evaluate
from ladle_rt.evaluation.open_models import open_models

if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
else:
    folder = Path(tempfile.mkdtemp(prefix="pairs-"))
    for number in range(2):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        visible = cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC)
        for name, image in (("vi", visible), ("ir", visible[..., 1])):
            (folder / name).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / name / f"{number}.png"), image)

report = evaluate(open_models(["ladlenet-plus-compact"]), find_pairs(folder)).raw
for row in report.rows:
    scores = report.mean(row)
    print(f"{row:24} SSIM {scores.ssim:.3f}  PSNR {scores.psnr_db:.2f} dB")
