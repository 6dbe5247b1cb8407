"""Power, clocks and throttling, from files and libraries as platforms have them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ladle_rt.benchmark import telemetry_sources
from ladle_rt.benchmark.provenance import platform_facts, power_mode
from ladle_rt.benchmark.telemetry import TelemetrySampler
from ladle_rt.benchmark.telemetry_sources import (
    NvmlSource,
    Reading,
    SysfsSource,
    TegrastatsSource,
    open_sources,
    parse_tegrastats,
)
from ladle_rt.pipeline.machine_load import MachineLoad

ORIN = (
    "11-29-2026 07:00:00 RAM 2448/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) "
    "CPU [12%@1510,8%@729,off,off] EMC_FREQ 2%@2133 GR3D_FREQ 64%@[624] NVDEC off "
    "cpu@47.5C soc2@46C tj@48.1C gpu@-256C VDD_IN 5021mW/4936mW VDD_CPU_GPU_CV 1100mW/900mW"
)


def write(root: Path, files: dict[str, object]) -> Path:
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return root


def test_a_jetson_by_sysfs(tmp_path: Path) -> None:
    monitor = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    root = write(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/temp": 47500,
            "sys/class/thermal/thermal_zone1/temp": 61000,
            "sys/class/thermal/thermal_zone2/temp": -256000,
            "sys/class/thermal/cooling_device0/type": "cpu-throttle-alert",
            "sys/class/thermal/cooling_device0/cur_state": 0,
            "sys/class/thermal/cooling_device1/type": "pwm-fan",
            "sys/class/thermal/cooling_device1/cur_state": 3,
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": 1510400,
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": 729600,
            "sys/class/devfreq/17000000.gpu/cur_freq": 624750000,
            "sys/class/hwmon/hwmon1/oc1_event_cnt": 2,
            f"{monitor}/in1_label": "VDD_IN",
            f"{monitor}/in1_input": 5040,
            f"{monitor}/curr1_input": 1000,
            f"{monitor}/in2_label": "VDD_CPU_GPU_CV",
            f"{monitor}/in2_input": 5040,
            f"{monitor}/curr2_input": 200,
        },
    )
    source = SysfsSource(root)
    found = source.read()
    assert found.values == pytest.approx(
        {"temperature_c": 61, "cpu_mhz": 1120, "gpu_mhz": 624.75, "power_w": 5.04}
    )
    assert found.tells_throttling and not found.throttling and found.events == {"over-current": 2}
    write(root, {"sys/class/thermal/cooling_device0/cur_state": 1})
    assert source.read().throttling == {"cpu-throttle-alert"}


def test_a_desktop_by_sysfs_and_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert SysfsSource(tmp_path).read() == Reading()
    energy = "sys/class/powercap/intel-rapl:0/energy_uj"
    count = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    root = write(
        tmp_path, {energy: 5_000_000, count: 7, "sys/class/thermal/thermal_zone0/temp": ""}
    )
    found = SysfsSource(root).read()
    assert found.energy_j == 5 and found.events == {"CPU thermal": 7} and not found.values


class Played:
    """A source that tells one reading after another, the last one for ever."""

    name = "played"

    def __init__(self, *readings: Reading) -> None:
        self._readings = list(readings)
        self.closed = False

    def read(self) -> Reading:
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]

    def close(self) -> None:
        self.closed = True


def test_a_measurement_is_summed_up() -> None:
    first = Reading({"power_w": 10, "temperature_c": 50}, events={"x": 1}, tells_throttling=True)
    last = Reading({"power_w": 20, "temperature_c": 40}, events={"x": 1}, tells_throttling=True)
    source = Played(first, last)
    with TelemetrySampler([source, Played(Reading())]) as sampler:
        pass
    found = sampler.summary()
    assert source.closed
    assert found.figures == {"power_w": 15, "temperature_c": 50}
    assert (found.throttled, found.reasons, found.sources) == (False, (), ("played",))
    last.events["x"] = 3
    with TelemetrySampler([Played(Reading(events={"x": 1}, tells_throttling=True), last)]) as one:
        pass
    assert one.summary().throttled and one.summary().reasons == ("x",)
    with TelemetrySampler([Played(Reading())]) as nobody:
        pass
    assert nobody.summary().throttled is None and not nobody.summary().sources


def test_energy_becomes_power(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((10.0, 14.0))
    monkeypatch.setattr("ladle_rt.benchmark.telemetry.time.monotonic", lambda: next(clock))
    with TelemetrySampler([Played(Reading(energy_j=100), Reading(energy_j=160))]) as sampler:
        pass
    assert sampler.summary().figures == {"power_w": 15}


def nvml(throttle: int = 0) -> Any:
    class NVMLError(Exception):
        pass

    def hidden(*_: object) -> Any:
        raise NVMLError("not supported")

    processes = [SimpleNamespace(pid=1, usedGpuMemory=1 << 30)]
    processes += [SimpleNamespace(pid=os.getpid(), usedGpuMemory=300 << 20)]
    return SimpleNamespace(
        NVMLError=NVMLError,
        NVML_TEMPERATURE_GPU=0,
        NVML_CLOCK_GRAPHICS=0,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: f"gpu {index}",
        nvmlDeviceGetPowerUsage=lambda handle: {"gpu 0": 9000, "gpu 1": 72500}[handle],
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=int(handle[-1]) * 40),
        nvmlDeviceGetTemperature=lambda handle, kind: 66,
        nvmlDeviceGetClockInfo=hidden,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: processes,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: throttle,
    )


def test_nvml_is_asked_for_the_gpu_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    monkeypatch.setattr(telemetry_sources.shutil, "which", lambda name: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")  # as `--gpu 1` leaves it
    assert MachineLoad(Path("/nowhere")).read()["gpu_percent"] == 40
    _, source = open_sources("cuda")
    found = source.read()
    assert found.values == {"power_w": 72.5, "temperature_c": 66, "device_mb": 300}
    assert found.tells_throttling and not found.throttling
    # The power cap and an idle GPU are no fault of the machine; heat is.
    assert not NvmlSource(nvml(0x01 | 0x04), "gpu 0").read().throttling
    assert NvmlSource(nvml(0x40), "gpu 0").read().throttling == {"GPU hardware thermal slowdown"}
    source.close()
    source.close()
    assert [one.name for one in open_sources("cuda")] == ["sysfs", "NVML"]
    assert [one.name for one in open_sources("cpu")] == ["sysfs"]
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert [one.name for one in open_sources("cuda")] == ["sysfs"]


def test_tegrastats() -> None:
    assert parse_tegrastats(ORIN) == pytest.approx(
        {"power_w": 5.021, "temperature_c": 48.1, "gpu_mhz": 624, "cpu_mhz": 1119.5}
    )
    xavier = "GR3D_FREQ 0%@114 AO@35C GPU@36C VDD_GPU_SOC 1000mW/1mW VDD_CPU_CV 500mW/1mW"
    assert parse_tegrastats(xavier) == {"power_w": 1.5, "temperature_c": 36, "gpu_mhz": 114}
    assert parse_tegrastats("") == {} == parse_tegrastats("no such tool")


def until(condition: Any) -> Iterator[None]:
    import time

    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        yield
        time.sleep(0.02)


def test_tegrastats_is_followed_and_ended() -> None:
    line = f"print({ORIN!r}, flush=True)\nimport time\ntime.sleep(300)"
    source = TegrastatsSource([sys.executable, "-c", line])
    for _ in until(lambda: source.read().values):
        pass
    assert source.read().values["power_w"] == 5.021
    source.close()
    source.close()
    missing = TegrastatsSource(["no-such-tool-here"])
    assert missing.read() == Reading()
    missing.close()


def test_what_a_platform_says_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(
        tmp_path,
        {
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano\0",
            "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil",
            "sys/module/nvidia/version": "540.4.0",
        },
    )
    tool = write(tmp_path, {"bin/nvpmodel": "#!/bin/sh\necho 'NV Power Mode: 15W'\necho 0"})
    (tool / "bin" / "nvpmodel").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    found = platform_facts(root)
    assert found.pop("kernel") and found == {
        "board": "NVIDIA Jetson Orin Nano",
        "l4t": "R36 (release), REVISION: 4.3",
        "governor": "schedutil",
        "nvidia_driver": "540.4.0",
        "power_mode": "15W",
    }
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert power_mode() is None and set(platform_facts(tmp_path / "none")) == {"kernel"}
