"""The TensorRT plan of one case: built by a process of its own, alone in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ladle_rt.benchmark.benchmark_report import EngineFile
from ladle_rt.engines.plan.cache import Entry, list_plans
from ladle_rt.engines.plan.manifest import manifest_path
from ladle_rt.errors import BackendError, InputError
from ladle_rt.models.artifact import ModelArtifact

_ERROR = "ladle-rt: error: "
Run = Callable[[list[str]], "subprocess.CompletedProcess[str]"]


def run_quietly(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A command and what it says; Ctrl-C ends it too."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def plan_for_case(
    artifact: ModelArtifact,
    precision: str,
    size: tuple[int, int],
    calibration: Path | None,
    folder: Path,
    run: Run = run_quietly,
) -> tuple[Path, EngineFile]:
    """Build a plan and put it where nothing else lies, so that no faster one is taken instead.

    Args:
        artifact: the fp32 model.
        precision: of the plan.
        size: height and width that it is built for.
        calibration: folder of a calibration set, for INT8.
        folder: where plans are built.
        run: runs ``ladle-rt build-engine``.

    Returns:
        The folder that holds the plan alone, and its facts.

    Raises:
        BackendError: it could not be built in that precision, with the reason.
    """
    height, width = size
    built = folder / f"{precision}-{width}x{height}"
    command = [sys.executable, "-m", "ladle_rt", "build-engine", "--precision", precision]
    command += ["--model", str(artifact.onnx_path), "--output", str(built)]
    command += ["--size", f"{width}x{height}"]
    if calibration is not None and precision == "int8":
        command += ["--calibration", str(calibration)]
    done = run(command)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise BackendError(f"no {precision} plan: {lines[-1].removeprefix(_ERROR)}")
    entry = _find(built, artifact, precision)
    if entry is None:
        told = [line for line in done.stdout.splitlines() if line.startswith("precision: ")]
        reason = told[-1].removeprefix("precision: ") if told else "the builder chose another"
        raise BackendError(f"no {precision} plan: {reason}")
    alone = folder / f"only-{entry.path.stem}"
    alone.mkdir(exist_ok=True)
    for path in (entry.path, manifest_path(entry.path)):
        target = alone / path.name
        if not target.exists():
            try:
                os.link(path, target)
            except OSError:
                shutil.copyfile(path, target)
    manifest = entry.manifest
    assert manifest is not None, "`_find` takes no plan without one"
    return alone, EngineFile(manifest.plan_sha256, entry.size, manifest.build_seconds)


def _find(folder: Path, artifact: ModelArtifact, precision: str) -> Entry | None:
    try:
        entries = list_plans(folder)
    except InputError:
        return None
    for entry in entries:
        manifest = entry.manifest
        if manifest is None or entry.problem or manifest.precision != precision:
            continue
        origin = manifest.model.get("derivation", {}).get("from_sha256", manifest.onnx_sha256)
        if origin == artifact.info.onnx_sha256:
            return entry
    return None
