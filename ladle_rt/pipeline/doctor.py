"""Is everything there: one finding per part, each with what to type where it is not."""

from __future__ import annotations

import importlib.util
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from ladle_rt.cuda.compile import cache_folder
from ladle_rt.cuda.driver import check_bindings
from ladle_rt.cuda.nvml import busy_gpu, mig_slices
from ladle_rt.cuda.probe import CudaUnavailableError, cuda_devices, probe_cuda
from ladle_rt.device import usable_cores
from ladle_rt.engines.plan.cache import TIMINGS
from ladle_rt.errors import LadleError
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
from ladle_rt.sinks.encoding import LIVE, opens
from ladle_rt.sinks.gstreamer_elements import ELEMENTS, PACKAGES, why_not
from ladle_rt.sinks.window_sink import WINDOW_REMEDY, built_with_windows, display_available
from ladle_rt.sources.camera_listing import list_cameras
from ladle_rt.sources.gstreamer_source import built_with_gstreamer
from ladle_rt.translate.cuda.kernels import check_compiler
from ladle_rt.translate.select import load_network

RELEASE = Path("/etc/nv_tegra_release")
"""Says on a Jetson which L4T is installed."""
OPENCV_WHEELS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
"""None of them has GStreamer, and each hides the system's OpenCV, which has."""
LEAST_FREE_GB = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of the machine."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    """What to do about it."""
    needed: bool = False
    """Without it not even the main job runs."""


def examine() -> Iterator[Finding]:
    """Look at everything; nothing is changed and no GPU memory is taken."""
    parts: tuple[Callable[[], Iterator[Finding]], ...] = (
        _model,
        _gpu,
        _cuda,
        _engines,
        _timing_cache,
        _jetson,
        _encoders,
        _cameras,
        _display,
        _permissions,
        _disk,
    )
    for part in parts:
        yield from part()


def _model() -> Iterator[Finding]:
    cores = usable_cores()
    try:
        artifact = load_artifact(DEFAULT_MODEL)
        run = load_network(artifact).runner()
        thermal = np.zeros((1, 1, *artifact.info.train_size), np.float32)
        run(thermal)
        begin_s = time.perf_counter()
        run(thermal)
        took_ms = (time.perf_counter() - begin_s) * 1e3
    except LadleError as error:
        yield Finding("model", False, str(error), "pip install --force-reinstall .", needed=True)
        return
    version = metadata.version("onnxruntime")
    yield Finding(
        "model",
        True,
        f"{DEFAULT_MODEL} on ONNX Runtime {version}: {took_ms:.0f} ms, {cores} cores",
        needed=True,
    )


def _gpu() -> Iterator[Finding]:
    try:
        devices = probe_cuda()
    except CudaUnavailableError as error:
        hint = "install the NVIDIA driver" if Path("/proc/driver/nvidia").exists() else ""
        yield Finding("GPU", False, str(error), hint or "none needed: the CPU translates")
        return
    for device in devices:
        shared = ", works in the CPU's memory" if device.integrated else ""
        detail = f"{device.name} ({device.sm}, CUDA {device.driver_version}{shared})"
        yield Finding("GPU", True, detail)
    slices = mig_slices()
    if slices:
        # CUDA shows a process one slice alone, the first unless it is told another.
        yield Finding("MIG", True, f"{', '.join(slices)}; choose with --gpu {slices[-1]}")
    busy = busy_gpu() if devices else ""
    if busy:
        yield Finding(
            "GPU load",
            False,
            busy,
            "end them, or expect frames to wait and no speed to be measured",
        )


def _cuda() -> Iterator[Finding]:
    """The binding of the driver and the compiler of the kernels; both have to fit the driver."""
    devices = cuda_devices()
    device = devices[0] if devices else None
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("cuda.bindings", lambda: check_bindings(device)),
        ("CUDA compiler", lambda: check_compiler(device)),
    )
    for name, check in checks:
        try:
            yield Finding(name, True, check())
        except LadleError as error:
            problem, _, what = str(error).rpartition("; ")
            yield Finding(name, False, problem, what if device else f"only a GPU needs it: {what}")


def _engines() -> Iterator[Finding]:
    for name, package, extra in (
        ("TensorRT", "tensorrt", "tensorrt"),
        ("TensorRT-RTX", "tensorrt_rtx", "rtx"),
        ("pycuda", "pycuda", "pycuda"),
        ("torch", "torch", "train"),
    ):
        if importlib.util.find_spec(package) is None:
            yield Finding(name, False, "not installed", f"pip install 'ladle-rt[{extra}]'")
            continue
        yield Finding(name, True, _version(package.replace("_", "-")) or "of the system")


def _timing_cache() -> Iterator[Finding]:
    """Kernel times that TensorRT keeps from one build to the next; without, builds take longer."""
    folder = cache_folder()
    files = list(folder.glob(f"*{TIMINGS}"))
    size_mb = sum(path.stat().st_size for path in files) / 2**20
    held = f"{len(files)} files, {size_mb:.1f} MB" if files else "empty, no plan was built yet"
    place = next(one for one in (folder, *folder.parents) if one.exists())
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    yield Finding(
        "timing cache", writable, f"{folder}: {held}" if writable else f"{place} cannot be written",
        "let this user write there, or set XDG_CACHE_HOME; builds take longer without",
    )  # fmt: skip


def _version(package: str) -> str:
    """Of an installed package; empty where pip knows of none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _jetson() -> Iterator[Finding]:
    if not RELEASE.exists():
        return
    yield Finding("JetPack", True, RELEASE.read_text(encoding="utf-8").splitlines()[0])
    hiding = [name for name in OPENCV_WHEELS if _version(name)]
    yield Finding(
        "OpenCV", not hiding, f"{hiding[0]} hides JetPack's" if hiding else "JetPack's own",
        f"pip uninstall {' '.join(hiding)}",
    )  # fmt: skip


def _encoders() -> Iterator[Finding]:
    found = [codec for codec in LIVE if opens("matroska", codec)]
    remedy = "" if found else "pip install --force-reinstall av"
    yield Finding("encoders", bool(found), ", ".join(found) or "none opens", remedy)
    reasons = {element: why_not(element) for element in ELEMENTS}
    usable = [element for element, reason in reasons.items() if not reason]
    hardware, reason = next(iter(reasons.items()))
    yield Finding(
        "GStreamer encoders", bool(usable), ", ".join(usable) or f"{hardware}: {reason}",
        f"only a Jetson's hardware encoder needs them: {PACKAGES}",
    )  # fmt: skip


def _cameras() -> Iterator[Finding]:
    cameras = list_cameras()
    for one in cameras:
        detail = one.problem or f"{one.name}, captured as {one.chosen}"
        yield Finding(f"camera {one.device}", one.problem is None, detail, "ladle-rt sources")
    if not cameras:
        yield Finding(
            "cameras", False, "none found", "plug one in, or: ladle-rt stream --device synthetic"
        )
    yield Finding(
        "GStreamer", built_with_gstreamer(), "in this OpenCV" if built_with_gstreamer()
        else "not in this OpenCV", "only csi: and gst: need it; JetPack's OpenCV has it",
    )  # fmt: skip


def _display() -> Iterator[Finding]:
    if not built_with_windows():
        yield Finding("window", False, f"not in this OpenCV {cv2.__version__}", WINDOW_REMEDY)
        return
    problem = display_available()
    yield Finding(
        "display", problem is None, problem or "there", "ladle-rt stream ... --preview 8080"
    )


def _permissions() -> Iterator[Finding]:
    try:
        import grp  # not everywhere

        video = grp.getgrnam("video").gr_gid
        allowed = os.geteuid() == 0 or video in os.getgroups()
    except (ImportError, KeyError):
        allowed = True
    yield Finding(
        "camera permission", allowed, "given" if allowed else "this user is not in the group video",
        "sudo usermod -aG video $USER, then log in again",
    )  # fmt: skip
    writable = os.access("/dev/shm", os.W_OK)
    yield Finding(
        "shared memory", writable, "/dev/shm can be written" if writable else "no /dev/shm",
        "only shm: needs it",
    )  # fmt: skip


def _disk() -> Iterator[Finding]:
    free_gb = shutil.disk_usage(".").free / 2**30
    yield Finding(
        "disk", free_gb >= LEAST_FREE_GB, f"{free_gb:.0f} GB free here", "make room for recordings"
    )
