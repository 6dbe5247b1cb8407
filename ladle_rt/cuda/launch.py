"""One kernel launch as plain data, ready for any binding of the CUDA driver.

pycuda::

    function = module.get_function(launch.kernel)
    function.prepare(launch.format)
    function.prepared_async_call(launch.grid, launch.block, stream, *launch.values)

cuda.bindings (the pairs of values and ctypes that ``cuLaunchKernel`` takes)::

    driver.cuLaunchKernel(function, *launch.grid, *launch.block, 0, stream,
                          (launch.values, launch.ctypes), 0)

No kernel uses dynamic shared memory.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["P", "i", "f"]
"""Of an argument, as in `struct`: pointer, int32, float32."""

_CTYPES: dict[Kind, Any] = {
    "P": ctypes.c_void_p,
    "i": ctypes.c_int,
    "f": ctypes.c_float,
}

Size = tuple[int, int, int]
"""Along x, y and z."""


@dataclass(frozen=True, slots=True)
class Arg:
    """One typed kernel argument."""

    kind: Kind
    value: int | float
    """A device address for ``P``; 0 is the null pointer."""

    def pack(self) -> bytes:
        """The value's bytes as the kernel reads them (native order)."""
        return struct.pack(self.kind, self.value)


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel with its grid and arguments."""

    kernel: str
    """Name in the compiled module (``extern "C"``)."""
    grid: Size
    """Blocks."""
    block: Size
    """Threads of a block."""
    args: tuple[Arg, ...]

    @property
    def format(self) -> str:
        """The argument kinds in a row, as pycuda's ``prepare`` takes them."""
        return "".join(arg.kind for arg in self.args)

    @property
    def values(self) -> tuple[int | float, ...]:
        """The argument values."""
        return tuple(arg.value for arg in self.args)

    @property
    def ctypes(self) -> tuple[Any, ...]:
        """The ctypes type of each argument, as cuda.bindings takes them beside `values`."""
        return tuple(_CTYPES[arg.kind] for arg in self.args)


def pointer(address: int) -> Arg:
    """A device address."""
    return Arg("P", address)


def int32(value: int) -> Arg:
    """A C ``int``."""
    return Arg("i", value)


def float32(value: float) -> Arg:
    """A C ``float``."""
    return Arg("f", value)
