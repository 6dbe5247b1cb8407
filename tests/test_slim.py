"""The default install runs where no desktop's libraries are, as in a slim container."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from fnmatch import fnmatch
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.sinks.window_sink import WINDOW_REMEDY, built_with_windows

ROOT = Path(__file__).resolve().parents[1]
SITE = Path(cv2.__file__).parents[1]
SLIM = (
    *("ld-linux*", "libc.so*", "libm.so*", "libmvec*", "libdl.so*", "libpthread*", "librt.so*"),
    *("libutil.so*", "libresolv*", "libnss_*", "libcrypt.so*", "libgcc_s*", "libstdc++*"),
    *("libz.so*", "libbz2*", "liblzma*", "libffi*", "libexpat*", "libsqlite3*", "libuuid*"),
    *("libssl*", "libcrypto*", "libtinfo*", "libncursesw*", "libreadline*"),
)
"""System libraries of the image ``python:slim``, those that Python itself is linked with."""
ENTER = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
UNSHARE = ("unshare", "--map-root-user", "--mount")


@pytest.fixture(scope="session")
def slim(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words before a command, which then finds only the libraries of a slim image."""
    name = sysconfig.get_config_var("MULTIARCH") or ""
    system = Path("/usr/lib", name)
    if not name or not system.is_dir():
        pytest.skip("needs a Debian's folder of libraries")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*UNSHARE, "true"], check=False).returncode
    ):
        pytest.skip("mount namespaces are not allowed here")
    folder = tmp_path_factory.mktemp("libraries")
    for library in system.iterdir():
        if library.is_file() and any(fnmatch(library.name, kind) for kind in SLIM):
            shutil.copy(library, folder)
    return [*UNSHARE, "sh", "-c", ENTER, "sh", str(folder), str(system)]


@pytest.fixture(scope="session")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the OpenCV of the default install."""
    if not built_with_windows():
        return SITE
    folder = tmp_path_factory.mktemp("headless")
    wanted = f"opencv-python-headless~={cv2.__version__}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*pip, wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{wanted} cannot be had: {done.stderr.strip()[-200:]}")
    return folder


def run(folder: Path, path: list[Path], *words: str) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join(str(one) for one in (*path, ROOT))
    unset = ("DISPLAY", "WAYLAND_DISPLAY", "LD_LIBRARY_PATH")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        words,
        cwd=folder,
        env=kept | {"PYTHONPATH": places, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    thermal = np.random.default_rng(0).integers(0, 255, (6, 8), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "t.png"), cv2.resize(thermal, (96, 64)))
    return tmp_path


def test_commands_run_without_a_desktop(
    slim: list[str], headless: Path, frame: Path, tiny_model: Path
) -> None:
    def ladle(*words: str) -> subprocess.CompletedProcess[str]:
        return run(frame, [headless], *slim, sys.executable, "-m", "ladle_rt", *words)

    engine = ["--model", str(tiny_model), "--backend", "onnxruntime"]
    live = ["--device", "synthetic", "--max-frames", "3", *engine]
    for words in (
        ["sources"],
        ["sample", "t.mp4", "--seconds", "0.2", "--size", "96x64"],
        ["video", "t.mp4", "out.mp4", *engine],
        ["image", "t.png", "-o", "painted", *engine],
        ["stream", *live, "--no-window", "--output", "out.mkv"],
    ):
        done = ladle(*words)
        assert done.returncode == 0, (words, done.stderr)
    assert (frame / "painted" / "t.png").is_file()
    doctor = ladle("doctor")
    assert doctor.returncode == 0, doctor.stderr
    assert f"-> {WINDOW_REMEDY}" in doctor.stdout
    window = ladle("stream", *live)
    assert window.returncode == 1 and WINDOW_REMEDY in window.stderr
    assert len(window.stderr.splitlines()) == 1


def test_an_opencv_with_windows_says_what_it_lacks(slim: list[str], frame: Path) -> None:
    if not built_with_windows():
        pytest.skip("this OpenCV has no windows")
    done = run(frame, [SITE], *slim, sys.executable, "-m", "ladle_rt", "doctor")
    if done.returncode == 0:
        pytest.skip("this OpenCV brings every library it needs")
    (line,) = done.stderr.splitlines()
    assert "OpenCV cannot be loaded (lib" in line and "opencv-python-headless" in line


def test_an_opencv_that_pip_does_not_know(frame: Path, tiny_model: Path, tmp_path: Path) -> None:
    """As of JetPack or Debian: a module ``cv2`` without the facts of a distribution."""
    site = tmp_path / "site"
    site.mkdir()
    for entry in SITE.iterdir():
        if not fnmatch(entry.name.lower(), "opencv*info"):
            (site / entry.name).symlink_to(entry)
    alone = [sys.executable, "-S"]
    asks = "from importlib.metadata import packages_distributions as of; print(of().get('cv2'))"
    assert run(frame, [site], *alone, "-c", asks).stdout == "None\n"
    for words in (
        ["doctor"],
        ["image", "t.png", "-o", "painted", "--model", str(tiny_model)],
    ):
        done = run(frame, [site], *alone, "-m", "ladle_rt", *words)
        assert done.returncode == 0, done.stderr
    versions = "from ladle_rt.benchmark.provenance import versions; print(versions()['opencv'])"
    assert run(frame, [site], *alone, "-c", versions).stdout.strip() == cv2.__version__
