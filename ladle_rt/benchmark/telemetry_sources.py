"""Where power, clocks, temperature and throttling are read: sysfs, NVML, tegrastats.

Every source leaves out what its platform hides and never raises. Paths and counters are those of
the Linux kernel's sysfs ABI and of the Jetson Linux Developer Guide, "Platform Power and
Performance".
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ladle_rt.cuda.nvml import open_nvml

BOARD_RAILS = ("VDD_IN", "POM_5V_IN")
"""Rails of Jetson modules that everything else hangs on."""
MODULE_RAILS = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO")
"""Rails that together feed a Jetson without one of `BOARD_RAILS` (AGX Orin)."""
NVML_THROTTLING = {
    0x08: "GPU hardware slowdown",
    0x20: "GPU software thermal slowdown",
    0x40: "GPU hardware thermal slowdown",
    0x80: "GPU power brake",
}
"""Bits of nvmlClocksThrottleReasons in nvml.h that mean too hot or too little power; the usual
power cap (0x04) is no fault of the machine."""


@dataclass(slots=True)
class Reading:
    """What one source tells at one moment."""

    values: dict[str, float] = field(default_factory=dict)
    """``power_w``, ``temperature_c`` (the hottest), ``cpu_mhz``, ``gpu_mhz``, ``device_mb``."""
    energy_j: float | None = None
    """A counter whose growth is the energy used."""
    throttling: set[str] = field(default_factory=set)
    """What holds the clocks down now."""
    events: dict[str, int] = field(default_factory=dict)
    """Throttling events since the machine started; growth means throttling."""
    tells_throttling: bool = False
    """Whether silence means that nothing throttles."""


class TelemetrySource(Protocol):
    """One place to read from."""

    name: str

    def read(self) -> Reading:
        """Figures of this moment; empty where the platform hides them."""

    def close(self) -> None:
        """Let go of what was opened; calling it twice is harmless."""


def open_sources(device: str) -> list[TelemetrySource]:
    """Every source of this machine.

    Args:
        device: ``cpu`` or ``cuda``; a desktop GPU that does nothing is not asked.
    """
    found: list[TelemetrySource] = [SysfsSource()]
    if shutil.which("tegrastats"):
        found.append(TegrastatsSource())
    elif device == "cuda":
        opened = open_nvml()
        found += [NvmlSource(*opened)] if opened else []
    return found


class SysfsSource:
    """Linux: thermal zones, cpufreq, RAPL, and on Jetson INA3221 rails, devfreq and alerts.

    Args:
        root: where ``sys`` lies.
    """

    name = "sysfs"

    def __init__(self, root: Path = Path("/")) -> None:
        self._sys = root / "sys"

    def read(self) -> Reading:
        """See `TelemetrySource.read`."""
        found = Reading()
        values = found.values
        temperatures = _numbers(self._sys.glob("class/thermal/thermal_zone*/temp"))
        # A zone without a sensor says -256 or 0.
        hot = [value / 1e3 for value in temperatures if value > 0]
        if hot:
            values["temperature_c"] = max(hot)
        clocks = _numbers(self._sys.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"))
        if clocks:
            values["cpu_mhz"] = sum(clocks) / len(clocks) / 1e3
        gpu = _numbers(self._sys.glob("class/devfreq/*gpu*/cur_freq"))
        gpu += _numbers(self._sys.glob("class/devfreq/*ga10b*/cur_freq"))
        if gpu:
            values["gpu_mhz"] = max(gpu) / 1e6
        rails = self._rails()
        if rails:
            values["power_w"] = board_power_w(rails)
        packages = _numbers(self._sys.glob("class/powercap/intel-rapl:?/energy_uj"))
        if packages and not rails:
            found.energy_j = sum(packages) / 1e6
        self._read_throttling(found)
        return found

    def close(self) -> None:
        """Nothing is open."""

    def _rails(self) -> dict[str, float]:
        """Watts by rail of INA3221 power monitors: millivolts times milliamperes."""
        rails = {}
        for label in sorted(self._sys.glob("bus/i2c/drivers/ina3221/*/hwmon/hwmon*/in*_label")):
            number = label.name[2 : -len("_label")]
            volts = _numbers([label.with_name(f"in{number}_input")])
            amperes = _numbers([label.with_name(f"curr{number}_input")])
            if volts and amperes:
                with contextlib.suppress(OSError):
                    rails[label.read_text().strip()] = volts[0] * amperes[0] / 1e6
        return rails

    def _read_throttling(self, found: Reading) -> None:
        for kind in self._sys.glob("class/thermal/cooling_device*/type"):
            with contextlib.suppress(OSError, ValueError):
                name = kind.read_text().strip()
                if name.endswith("throttle-alert"):
                    found.tells_throttling = True
                    if int(kind.with_name("cur_state").read_text()) > 0:
                        found.throttling.add(name)
        counters = [*self._sys.glob("class/hwmon/hwmon*/oc*_event_cnt")]
        throttle = "devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count"
        counters += self._sys.glob(throttle)
        for path in counters:
            with contextlib.suppress(OSError, ValueError):
                what = "over-current" if path.name.startswith("oc") else "CPU thermal"
                count = int(path.read_text())
                found.events[what] = found.events.get(what, 0) + count
                found.tells_throttling = True


class NvmlSource:
    """NVIDIA's management library, of one GPU.

    Args:
        library: ``pynvml``, initialised.
        handle: of the GPU.
    """

    name = "NVML"

    def __init__(self, library: Any, handle: Any) -> None:
        self._nvml, self._handle, self._open = library, handle, True

    def read(self) -> Reading:
        """See `TelemetrySource.read`."""
        nvml, handle, found = self._nvml, self._handle, Reading()

        def ask(name: str, call: Any) -> None:
            # Boards differ in what they answer.
            with contextlib.suppress(nvml.NVMLError):
                value = call()
                if value is not None:
                    found.values[name] = value

        ask("power_w", lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3)
        ask(
            "temperature_c",
            lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
        )
        ask(
            "gpu_mhz",
            lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_GRAPHICS)),
        )
        ask("device_mb", self._own_memory_mb)
        with contextlib.suppress(nvml.NVMLError):
            bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
            found.tells_throttling = True
            found.throttling = {text for bit, text in NVML_THROTTLING.items() if bits & bit}
        return found

    def close(self) -> None:
        """End the library's session."""
        if self._open:
            self._open = False
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()

    def _own_memory_mb(self) -> float | None:
        """What this process holds; ``None`` where the driver does not say, as in containers."""
        for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle):
            if process.pid == os.getpid() and process.usedGpuMemory is not None:
                return float(process.usedGpuMemory / 2**20)
        return None


class TegrastatsSource:
    """The last line of NVIDIA's tegrastats, which runs as long as the source is open.

    Args:
        command: how it is started.
    """

    name = "tegrastats"

    def __init__(self, command: Iterable[str] = ("tegrastats", "--interval", "250")) -> None:
        self._last = ""
        self._process: subprocess.Popen[str] | None = None
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                list(command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            threading.Thread(target=self._follow, name="tegrastats", daemon=True).start()

    def _follow(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            self._last = line

    def read(self) -> Reading:
        """See `TelemetrySource.read`."""
        return Reading(parse_tegrastats(self._last))

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


def parse_tegrastats(line: str) -> dict[str, float]:
    """Figures of one line of tegrastats; those that it does not have are left out."""
    found: dict[str, float] = {}
    rails = {name: int(mw) / 1e3 for name, mw in re.findall(r"(\w+) (\d+)mW/\d+mW", line)}
    if rails:
        found["power_w"] = board_power_w(rails)
    degrees = [float(value) for value in re.findall(r"@(-?[\d.]+)C\b", line)]
    hot = [value for value in degrees if value > 0]
    if hot:
        found["temperature_c"] = max(hot)
    clock = re.search(r"GR3D_FREQ \d+%@\[?(\d+)", line)
    if clock:
        found["gpu_mhz"] = float(clock[1])
    cores = re.search(r"CPU \[([^]]*)\]", line)
    speeds = [float(mhz) for mhz in re.findall(r"%@(\d+)", cores[1])] if cores else []
    if speeds:
        found["cpu_mhz"] = sum(speeds) / len(speeds)
    return found


def board_power_w(rails: dict[str, float]) -> float:
    """Power of the whole board by its rails: the input where it is measured, else their sum."""
    for name in BOARD_RAILS:
        if name in rails:
            return rails[name]
    known = [watts for name, watts in rails.items() if name in MODULE_RAILS]
    return sum(known or rails.values())


def _numbers(paths: Iterable[Path]) -> list[int]:
    found = []
    for path in sorted(paths):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text()))
    return found
