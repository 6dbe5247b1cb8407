"""Which TensorRT is installed, and the only place that knows how its versions differ.

Serves TensorRT 10.3 to 11.x (module ``tensorrt``) and TensorRT-RTX (module ``tensorrt_rtx``).
Nothing here creates a Runtime, which crashes the process where there is no CUDA driver.
`benchmarks/api_names.py` checks every TensorRT name of the package in each version; a name that
is asked for with `hasattr` may be missing in some.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ladle_rt.errors import BackendError, ConfigError, MissingDependencyError

TensorRtEdition = Literal["tensorrt", "tensorrt-rtx"]
MODULES: dict[TensorRtEdition, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
EXTRAS: dict[TensorRtEdition, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "rtx"}
OLDEST_TENSORRT = (10, 3)
OLDEST_DLA = (11, 4)
"""From here on strongly typed networks run on a DLA; before, only weakly typed ones did."""
LAST_RTX_IN_FLOAT = (1, 7)
"""TensorRT-RTX up to here returns every convolution on eight bits in float and requantises in a
kernel of its own (seen in its builder's log, for every card that it serves)."""


@dataclass(frozen=True, slots=True)
class TensorRT:
    """An importable TensorRT."""

    edition: TensorRtEdition
    version: str
    """As the bindings say it, for example ``1.7.1.116`` or ``10.3.0``."""
    module: Any

    @property
    def is_rtx(self) -> bool:
        """Whether it builds ahead of time for other GPUs than this machine's."""
        return self.edition == "tensorrt-rtx"

    @property
    def label(self) -> str:
        """Short form for file names: ``rtx1.7.1`` or ``trt10.3.0``."""
        numbers = ".".join(str(part) for part in version_numbers(self.version)[:3])
        return f"{'rtx' if self.is_rtx else 'trt'}{numbers}"

    @property
    def fuses_int8(self) -> bool:
        """Whether a convolution on eight bits returns eight bits; if not, INT8 is not faster."""
        return not self.is_rtx or version_numbers(self.version)[:2] > LAST_RTX_IN_FLOAT

    def targets(self) -> tuple[str, ...]:
        """Compute capabilities that a plan can be built for without such a GPU: ``sm86``, ...

        Empty for TensorRT proper.
        """
        trt = self.module
        if not hasattr(trt, "ComputeCapability"):
            return ()
        names = (name for name in trt.ComputeCapability.__members__ if name.startswith("SM"))
        return tuple(sorted((name.lower() for name in names), key=lambda name: int(name[2:])))

    def create_network(self, builder: Any) -> Any:
        """An empty network whose tensor types are those of the ONNX graph."""
        trt = self.module
        # The value of the flag differs (1 on 10.x, 0 on 11.x and RTX): always shift by it.
        flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return builder.create_network(flag)

    def set_targets(self, config: Any, targets: tuple[str, ...]) -> None:
        """Have the plan built for these compute capabilities instead of the GPU at hand.

        Raises:
            ConfigError: not TensorRT-RTX, or a capability that it does not know.
        """
        trt = self.module
        known = self.targets()
        can = hasattr(config, "num_compute_capabilities") and hasattr(
            config, "set_compute_capability"
        )
        if not (known and can):
            raise ConfigError(
                f"--target needs TensorRT-RTX, received {self.edition} {self.version}: build on "
                "the GPU itself, or run: pip install 'ladle-rt[rtx]'"
            )
        wrong = [target for target in targets if target not in known]
        if wrong:
            raise ConfigError(
                f"--target: expected some of {', '.join(known)}, received {', '.join(wrong)}"
            )
        config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            value = trt.ComputeCapability.__members__[target.upper()]
            config.set_compute_capability(value, index)

    def set_flags(self, config: Any) -> None:
        """Builder flags. Precision is not among them: it lives in the graph."""
        trt = self.module
        if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
            # TensorRT-RTX otherwise allocates while it runs, which no CUDA graph can capture.
            config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)

    def set_timing_cache(self, config: Any, path: Path, own: bool = False) -> None:
        """Start from the timings in a file, if there is one.

        Args:
            config: of the builder.
            path: the file; may be missing.
            own: this program keeps it: one that does not fit is begun anew, in a line.

        Raises:
            ConfigError: on TensorRT-RTX, which measures nothing at build time.
            BackendError: a file that is no timing cache of this device and version.
        """
        if self.is_rtx:
            raise ConfigError(
                "--timing-cache is for TensorRT; TensorRT-RTX times no kernels while building: "
                "leave it out"
            )
        cache = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
        # False: a cache of another device or version is refused, not used.
        if config.set_timing_cache(cache, False):
            return
        if not own or not config.set_timing_cache(config.create_timing_cache(b""), False):
            raise BackendError(
                f"{path}: not a timing cache of this device and TensorRT {self.version}; "
                "name another file"
            )

    def use_dla(self, builder: Any, config: Any, core: int, precision: str) -> None:
        """Run what it can on a Deep Learning Accelerator, the rest on the GPU.

        Raises:
            ConfigError: where that cannot work, with the reason.
        """
        trt = self.module
        reason = None
        if self.is_rtx:
            reason = "TensorRT-RTX is for RTX cards, which have none"
        elif version_numbers(self.version)[:2] < OLDEST_DLA:
            reason = f"TensorRT {self.version} runs no strongly typed network on it (11.4 does)"
        elif core >= builder.num_DLA_cores:
            reason = f"this machine has {builder.num_DLA_cores}"
        elif precision == "fp32":
            reason = "it computes in FP16 or INT8, the graph is FP32"
        if reason:
            raise ConfigError(f"--dla {core}: no such accelerator can be used: {reason}")
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = core
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def find_tensorrt(wanted: TensorRtEdition | None = None) -> TensorRT:
    """Import TensorRT; without a wish, TensorRT comes before TensorRT-RTX.

    Raises:
        MissingDependencyError: none is installed (or not the wanted one).
        BackendError: installed, but older than this package can use.
    """
    editions: tuple[TensorRtEdition, ...] = (wanted,) if wanted else ("tensorrt", "tensorrt-rtx")
    failures = []
    for edition in editions:
        try:
            module = importlib.import_module(MODULES[edition])
        except (ImportError, OSError) as error:
            # OSError: the bindings are there, the libraries behind them are not.
            failures.append(f"{MODULES[edition]}: {error}")
            continue
        version = str(module.__version__)
        if edition == "tensorrt" and version_numbers(version)[:2] < OLDEST_TENSORRT:
            raise BackendError(
                f"expected TensorRT {'.'.join(map(str, OLDEST_TENSORRT))} or newer, received "
                f"{version}; update it"
            )
        return TensorRT(edition, version, module)
    extras = " or ".join(f"pip install 'ladle-rt[{EXTRAS[edition]}]'" for edition in editions)
    raise MissingDependencyError(
        f"TensorRT is needed here and cannot be imported ({'; '.join(failures)}); run: {extras}"
    )


def version_numbers(version: str) -> tuple[int, ...]:
    """``10.13.3.9.post1`` as (10, 13, 3, 9)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def same_version(one: str, other: str) -> bool:
    """Whether two versions agree as far as both say."""
    pairs = zip(version_numbers(one), version_numbers(other), strict=False)
    return all(a == b for a, b in pairs)
