"""Against Triton itself, where a Python that has it is named: see CONTRIBUTING.md.

    python -m venv triton && triton/bin/pip install nvidia-pytriton onnxruntime
    LADLE_RT_PYTRITON=triton/bin/python pytest tests/translate/remote/test_real_triton.py

The wheel of nvidia-pytriton holds the server with its Python backend alone, so ONNX Runtime is put
behind it in Python; the exported repository is loaded as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from waiting import free_port

from ladle_rt.cli import cli
from ladle_rt.config import RemoteOptions
from ladle_rt.models.artifact import load_artifact
from ladle_rt.translate.select import load_network

BACKEND = Path(__file__).with_name("onnxruntime_backend_of_triton.py")
START_S = 180.0
FACTS = """
import sysconfig, pathlib, pytriton, sys, onnxruntime
print(pathlib.Path(pytriton.__file__).parent / "tritonserver")
print(sysconfig.get_config_var("LIBDIR"))
print(sysconfig.get_path("purelib"))
print(f"{sys.version_info[0]}.{sys.version_info[1]}")
"""


class Triton:
    """A Triton server, started as often as one likes, on the same ports."""

    def __init__(self, python: str, folder: Path) -> None:
        told = subprocess.run(
            [python, "-c", FACTS], capture_output=True, text=True, check=True, timeout=120
        ).stdout
        where, library, packages, version = told.split("\n")[:4]
        home = Path(where)
        self.repository, backends = folder / "repository", folder / "backends"
        shutil.copytree(home / "backends" / "python", backends / "python")
        stub = "triton_python_backend_stub"
        shutil.copy(home / "python_backend_stubs" / version / stub, backends / "python" / stub)
        (backends / "onnxruntime").mkdir()
        shutil.copy(BACKEND, backends / "onnxruntime" / "model.py")
        ports = [free_port() for _ in range(2)]
        self.grpc, self.http = (
            f"{scheme}://127.0.0.1:{port}"
            for scheme, port in zip(("grpc", "http"), ports, strict=True)
        )
        self._log = folder / "triton.log"
        self._command = [
            *(str(home / "bin" / "tritonserver"), f"--model-repository={self.repository}"),
            *(f"--backend-directory={backends}", "--allow-metrics=false"),
            *(f"--grpc-port={ports[0]}", f"--http-port={ports[1]}"),
        ]
        libraries = f"{library}:{packages}/nvidia_pytriton.libs"
        self._environment = {
            **os.environ,
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": libraries,
            "PYTHONPATH": packages,
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        limit_s = time.monotonic() + START_S
        while not self._ready():
            assert process.poll() is None and time.monotonic() < limit_s, self._log.read_text()
            time.sleep(0.5)
        return process

    def stop(self) -> None:
        for process in self._running:
            process.terminate()
            process.wait(60)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.http}/v2/health/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


@pytest.fixture
def triton(kserve: ModuleType, tmp_path: Path) -> Iterator[Triton]:
    python = os.environ.get("LADLE_RT_PYTRITON")
    if not python:
        pytest.skip("LADLE_RT_PYTRITON names no Python with nvidia-pytriton and onnxruntime")
    server = Triton(python, tmp_path)
    yield server
    server.stop()


def test_the_exported_repository(triton: Triton, tiny_model: Path) -> None:
    done = CliRunner().invoke(cli, ["export", str(tiny_model), "--triton", str(triton.repository)])
    assert done.exit_code == 0, done.output
    triton.start()
    artifact = load_artifact(tiny_model)
    thermal = np.random.default_rng(0).random((3, 1, 64, 96), np.float32)
    expected = np.array(load_network(artifact).runner()(thermal))
    for url in (triton.grpc, triton.http):
        network = load_network(artifact, "triton", 2, remote=RemoteOptions((url,), 60, 60))
        assert np.array_equal(network.runner()(thermal), expected)


@pytest.mark.timeout(600)
def test_killed_and_restarted_in_the_middle_of_a_video(
    triton: Triton, tiny_model: Path, tmp_path: Path, restarted_video: Callable[..., None]
) -> None:
    words = ["export", str(tiny_model), "--triton", str(triton.repository)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    restarted_video(triton.grpc, tiny_model, tmp_path, iter(triton.start, None))
