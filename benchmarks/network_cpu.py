"""Single-frame network time on the CPU, side by side with one width-12 U-Net.

    python benchmarks/network_cpu.py [--runs 25] [--output benchmarks/results/network_cpu.json]

The yardstick is one U-Net of the published plan at width 12 and 192x256 (about 2.6 GFLOP);
the models take turns, one frame each, so that a drifting machine slows all alike. The shipped
model may take at most 0.75 of the yardstick's time. Needs the train extra.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from helpers import Spread, write_result
from torch import Tensor, nn

from ladle_rt.models.artifact import load_artifact
from ladle_rt.models.blocks import UNet
from ladle_rt.models.ladlenet import LadleNetConfig
from ladle_rt.models.listing import count_macs

SIZE = (192, 256)


class Yardstick(nn.Module):
    """One U-Net, thermal in, RGB out."""

    def __init__(self) -> None:
        super().__init__()
        channels = LadleNetConfig.of_width(12).channels
        self.unet = UNet(1, channels)
        self.out = nn.Conv2d(channels[0], 3, 1)

    def forward(self, thermal: Tensor) -> Tensor:
        """[N,1,H,W] -> [N,3,H,W]."""
        return torch.sigmoid(self.out(self.unet(thermal).levels[0]))


def export_yardstick(path: Path) -> int:
    """Write the yardstick's graph; returns its multiply-accumulates per frame."""
    model, thermal = Yardstick().eval(), torch.rand(1, 1, *SIZE)
    program = torch.onnx.export(
        model, (thermal,), input_names=["thermal"], opset_version=20, dynamo=True, verbose=False
    )
    assert program is not None
    program.save(str(path))
    return count_macs(model, SIZE)


def runners(path: Path) -> dict[str, Callable[[], object]]:
    """One call per engine and thread count, each translating one random frame."""
    thermal = np.random.default_rng(0).random((1, 1, *SIZE), dtype=np.float32)
    calls: dict[str, Callable[[], object]] = {}
    for threads in (1, 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # A session that spins after its run would slow the one whose turn is next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        calls[f"onnxruntime, {threads} threads"] = lambda session=session: session.run(
            None, {"thermal": thermal}
        )
    try:
        import openvino
    except ImportError:
        return calls
    for threads in (1, 2):
        compiled = openvino.Core().compile_model(
            str(path), "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        )
        request = compiled.create_infer_request()
        calls[f"openvino, {threads} threads"] = lambda request=request: request.infer({0: thermal})
    return calls


def main() -> None:
    """Measure, print a table, record JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=None, help="shipped name or .onnx file")
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    artifact = load_artifact(arguments.model) if arguments.model else load_artifact()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "yardstick.onnx")
        yardstick_macs = export_yardstick(path)
        candidates = {"yardstick": runners(path), "model": runners(artifact.onnx_path)}
        times: dict[tuple[str, str], list[float]] = {}
        for run in range(arguments.runs + 3):
            for engine in candidates["model"]:
                for name, calls in candidates.items():
                    start = time.perf_counter()
                    calls[engine]()
                    if run >= 3:
                        times.setdefault((name, engine), []).append(time.perf_counter() - start)
    results = {}
    for engine in candidates["model"]:
        ours, theirs = times["model", engine], times["yardstick", engine]
        ratio = Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])
        results[engine] = {
            "model_ms": Spread.of([value * 1e3 for value in ours]).to_list(),
            "yardstick_ms": Spread.of([value * 1e3 for value in theirs]).to_list(),
            "ratio": ratio.to_list(),
        }
        print(
            f"{engine:24s} model {results[engine]['model_ms'][1]:6.1f} ms   "
            f"yardstick {results[engine]['yardstick_ms'][1]:6.1f} ms   ratio {ratio.median:.2f}"
        )
    if arguments.output:
        settings = {
            "model": artifact.info.name,
            "model_gmac": artifact.info.macs / 1e9,
            "yardstick_gmac": yardstick_macs / 1e9,
            "size": list(SIZE),
            "runs": arguments.runs,
        }
        write_result(arguments.output, "network_cpu", settings, results)


if __name__ == "__main__":
    main()
