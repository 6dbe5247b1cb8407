from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from ladle_rt.cli.doctor_command import command as doctor
from ladle_rt.cli.sources_command import command as sources
from ladle_rt.cuda.probe import CudaDevice
from ladle_rt.errors import ModelError
from ladle_rt.pipeline import doctor as rooms


def test_each_line_is_fine_or_says_what_to_do() -> None:
    result = CliRunner().invoke(doctor, [], catch_exceptions=False)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("OK  model: ladlenet-plus-daylight")
    for line in lines:
        assert line.startswith("OK  ") or (line.startswith("--  ") and " -> " in line), line
    assert any("encoders: " in line and "libx264" in line for line in lines)


def test_for_programs_and_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "probe_cuda", lambda: (CudaDevice("Orin", (8, 7), "12.6"),))
    result = CliRunner().invoke(doctor, ["--json"], catch_exceptions=False)
    found = {one["name"]: one for one in json.loads(result.stdout)}
    assert found["GPU"]["ok"] and found["GPU"]["detail"] == "Orin (sm_87, CUDA 12.6)"


def test_a_gpu_in_the_cpus_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    orin = CudaDevice("Orin", (8, 7), "12.6", integrated=True)
    monkeypatch.setattr(rooms, "probe_cuda", lambda: (orin,))
    monkeypatch.setattr(rooms, "busy_gpu", lambda: "")
    (gpu,) = rooms._gpu()
    assert gpu.detail == "Orin (sm_87, CUDA 12.6, works in the CPU's memory)"


def test_where_kernel_times_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    monkeypatch.setattr(rooms, "cache_folder", lambda: folder)
    (empty,) = rooms._timing_cache()
    assert empty.ok and empty.detail == f"{folder}: empty, no plan was built yet"
    folder.mkdir()
    for name in ("a.timings", "b.timings", "c.cubin"):
        (folder / name).write_bytes(bytes(3 << 19))
    (two,) = rooms._timing_cache()
    assert two.ok and two.detail == f"{folder}: 2 files, 3.0 MB"
    monkeypatch.setattr(rooms, "cache_folder", lambda: folder / "c.cubin" / "kernels")
    (closed,) = rooms._timing_cache()
    assert not closed.ok and "c.cubin cannot be written" in closed.detail
    assert "XDG_CACHE_HOME" in closed.remedy


def test_which_of_gstreamers_encoders_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "why_not", lambda name: "" if name.startswith("nv") else "no such")
    *_, usable = rooms._encoders()
    assert usable.ok and usable.detail == "nvv4l2h264enc, nvv4l2h265enc"
    monkeypatch.setattr(rooms, "why_not", lambda name: "it does not start (ERROR: no device)")
    *_, none = rooms._encoders()
    assert not none.ok and "nvv4l2h264enc: it does not start" in none.detail
    assert "apt install" in none.remedy


def test_mig_slices_and_another_program_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "probe_cuda", lambda: (CudaDevice("H200", (9, 0), "13.0"),))
    monkeypatch.setattr(rooms, "mig_slices", lambda: ("MIG-aa", "MIG-bb"))
    monkeypatch.setattr(rooms, "busy_gpu", lambda: "others use 90 % of the GPU (processes 7)")
    gpu, mig, load = rooms._gpu()
    assert gpu.ok and mig.ok and mig.detail == "MIG-aa, MIG-bb; choose with --gpu MIG-bb"
    assert not load.ok and "processes 7" in load.detail and load.remedy


@pytest.mark.parametrize(
    ("driver", "remedy"),
    [
        ("12.6", "pip install 'ladle-rt[cuda12]' or update the driver"),
        ("11.8", "update the driver"),
    ],
)
def test_libraries_that_are_newer_than_the_driver(
    monkeypatch: pytest.MonkeyPatch, driver: str, remedy: str
) -> None:
    monkeypatch.setattr(rooms, "cuda_devices", lambda: (CudaDevice("Other", (10, 0), driver),))
    monkeypatch.setattr(metadata, "version", lambda name: "13.5.0")
    found = {one.name: one for one in rooms._cuda()}
    binding, compiler = found["cuda.bindings"], found["CUDA compiler"]
    assert not binding.ok and remedy in binding.remedy
    assert binding.detail == f"cuda-bindings 13.5.0 is too new for a driver of CUDA {driver}"
    assert not compiler.ok and compiler.remedy.startswith(("run: pip install", "update"))


def test_a_wheel_that_hides_jetpacks_opencv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release), REVISION: 4.3\n")
    monkeypatch.setattr(rooms, "RELEASE", release)
    _, opencv = rooms._jetson()
    assert "pip uninstall opencv-python" in opencv.remedy and not opencv.ok
    monkeypatch.setattr(rooms, "OPENCV_WHEELS", ())
    assert list(rooms._jetson())[1].ok


def test_without_a_model_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ModelError("weights are damaged")

    monkeypatch.setattr(rooms, "load_artifact", broken)
    result = CliRunner().invoke(doctor, [], catch_exceptions=False)
    assert result.exit_code == 1
    assert result.stdout.startswith("--  model: weights are damaged -> pip install")


def test_sources_tell_what_can_be_typed() -> None:
    result = CliRunner().invoke(sources, [], catch_exceptions=False)
    assert result.exit_code == 0 and "rtsp://" in result.stdout
    found = json.loads(CliRunner().invoke(sources, ["--json"]).stdout)
    assert isinstance(found["cameras"], list) and isinstance(found["gstreamer"], bool)
