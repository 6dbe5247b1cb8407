"""Everything about the GPU in one go, on any NVIDIA machine, in a few minutes.

    python benchmarks/gpu_check.py [--output benchmarks/results/gpu_check_NAME.json]

Parts that cannot run (no TensorRT, torch without CUDA as on a Jetson, no pycuda, no
compute-sanitizer) are skipped with the reason. Each is printed and recorded as soon as it ends.
Exit codes: 0 every part that ran passed, 1 one failed, 3 there is no GPU and nothing was written.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gpu_bare
import numpy as np
from gpu_measure import (
    FailedError,
    Part,
    SkippedError,
    compare_pictures,
    latency_and_rate,
    noise_frames,
    run_parts,
)
from gpu_translators import OPTIONS, STEADY, Setup, Translators
from helpers import write_result

from ladle_rt.benchmark.latency import translate_all
from ladle_rt.cuda.probe import CudaDevice, CudaUnavailableError, probe_cuda
from ladle_rt.frames import TranslatedFrame
from ladle_rt.translate.base import Translator

SANITIZER_LIMIT_S = 120

Make = Callable[[], Translator]
Measure = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Checks:
    """The parts, on one setup."""

    setup: Setup

    def parts(self) -> dict[str, Measure]:
        """Every part, in the order of their dependence."""
        made = Translators(self.setup)
        # A CPU translates the same frames once, however many parts are held against it.
        known = functools.cache(made.pictures)
        copied = functools.partial(known, made.copy_on_cpu)
        network = functools.partial(known, made.network_on_cpu)
        made_steady = functools.partial(known, made.steady_on_cpu)
        parity, bare = self._parity, self._against_bare
        return {
            "kernels": parity(made.copy, 1, 0.005, copied),
            "kernels, half": parity(lambda: made.copy("float16"), 1, 0.005, copied),
            "kernels, pycuda": parity(made.pycuda, 1, 0.005, copied),
            "steady": parity(made.steady, 1, 0.005, made_steady),
            "torch fp32": parity(lambda: made.torch("float32"), 1, 0.005, network),
            "torch fp16": parity(made.torch, 4, 0.01, network),
            "tensorrt": parity(made.tensorrt, 4, 0.01, network),
            "graph against eager": lambda: self._graph_against_eager(made),
            "ring, torch": bare(made.torch, gpu_bare.torch_fps),
            "ring, tensorrt": bare(made.tensorrt, gpu_bare.tensorrt_fps),
            "bandwidth": lambda: gpu_bare.kernel_bandwidth(self.setup),
            "steady, cost": lambda: self._steady_cost(made),
            "compute-sanitizer": sanitizer,
        }

    def _parity(
        self,
        make: Make,
        tolerance: int,
        share: float,
        expected: Callable[[str], list[TranslatedFrame]],
    ) -> Measure:
        """Pictures of a GPU translator against the CPU's, of 8 and 16 bit, by one translator.

        Args:
            make: opens it.
            tolerance: see `compare_pictures`.
            share: see `compare_pictures`.
            expected: the reference's pictures, by the frames' dtype.
        """

        def part() -> dict[str, Any]:
            figures = {}
            with make() as translator:
                for dtype in ("uint8", "uint16"):
                    frames = noise_frames(self.setup.compared, self.setup.shape, dtype)
                    ours = translate_all(translator, frames)
                    figures[dtype] = compare_pictures(ours, expected(dtype), tolerance, share)
            return figures

        return part

    def _against_bare(self, make: Make, bare_fps: Callable[[Setup], float]) -> Measure:
        """Rate and latency of the whole way, and the rate of the network alone."""

        def part() -> dict[str, Any]:
            with make() as translator:
                figures = {"engine": translator.name, **self._speed(translator)}
            figures["bare_fps"] = bare_fps(self.setup)
            figures["of_bare"] = float(f"{figures['fps'] / figures['bare_fps']:.3g}")
            return figures

        return part

    def _graph_against_eager(self, made: Translators) -> dict[str, Any]:
        """The same frames with and without CUDA graphs: equal pictures, and the times of both."""
        graph = made.pictures(made.torch, "uint8")
        eager = made.pictures(lambda: made.torch(graphs=False), "uint8")
        equal = compare_pictures(graph, eager, 1, 0.001)
        with made.torch() as translator:
            figures = {"graph": self._speed(translator)}
        with made.torch(graphs=False) as translator:
            figures["eager"] = self._speed(translator)
        return {**equal, **figures}

    def _steady_cost(self, made: Translators) -> dict[str, Any]:
        """Rate and latency of the frame kernels without and with flicker suppression."""
        figures = {}
        for name, strength in (("off", 0.0), ("on", 1.0)):
            with made.copy(**{**STEADY, "steady": strength}) as translator:
                figures[name] = self._speed(translator)
        return figures

    def _speed(self, translator: Translator) -> dict[str, Any]:
        frames = noise_frames(self.setup.frames, self.setup.shape, np.uint8)
        return latency_and_rate(translator, frames)


def sanitizer() -> dict[str, Any]:
    """The parity of the kernels again under compute-sanitizer."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        raise SkippedError("compute-sanitizer is not on the PATH")
    command = [tool, "--error-exitcode", "9", sys.executable, __file__, "--only", "kernels"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SANITIZER_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        raise SkippedError(f"did not end within {SANITIZER_LIMIT_S} s") from None
    if done.returncode:
        raise FailedError(f"compute-sanitizer: {done.stdout.strip()[-300:]}")
    return {"exit": done.returncode}


def find_device() -> CudaDevice:
    """The first GPU, or the end of the program."""
    try:
        devices = probe_cuda()
    except CudaUnavailableError as reason:
        print(f"gpu_check: no GPU: {reason}; nothing was measured", file=sys.stderr)
        raise SystemExit(3) from None
    if not devices:
        print("gpu_check: no GPU: the driver shows none; nothing was measured", file=sys.stderr)
        raise SystemExit(3)
    return devices[0]


def main() -> None:
    """Run the parts; print a line and record JSON after each."""
    setup = Setup.of()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", choices=list(Checks(setup).parts()), help="one part alone")
    arguments = parser.parse_args()
    device = find_device()
    if importlib.util.find_spec("torch"):
        import torch

        # The reference is in full fp32.
        torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        setup = replace(setup, options=replace(OPTIONS, engines=Path(folder, "engines")))

        def ended(so_far: dict[str, Part]) -> None:
            name, part = list(so_far.items())[-1]
            print(f"{name:22s} {part.outcome:8s} {part.reason or part.figures}", flush=True)
            if arguments.output:
                settings = {
                    "device": asdict(device),
                    "frames": setup.frames,
                    "shape": list(setup.shape),
                }
                recorded = {one: asdict(part) for one, part in so_far.items()}
                write_result(arguments.output, "gpu_check", settings, recorded)

        chosen = {
            name: part
            for name, part in Checks(setup).parts().items()
            if arguments.only in (None, name)
        }
        results = run_parts(chosen, ended)
    raise SystemExit(any(part.outcome == "failed" for part in results.values()))


if __name__ == "__main__":
    main()
