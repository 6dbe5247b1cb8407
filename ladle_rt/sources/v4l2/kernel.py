"""The few system calls of a camera, so that a test can stand in for the kernel."""

from __future__ import annotations

import mmap
import os
import select
import sys
from typing import Any, Protocol

from ladle_rt.errors import InputError


class Kernel(Protocol):
    """See the functions of the same names in `os`, `fcntl` and `mmap`."""

    def open(self, path: str) -> int: ...

    def ioctl(self, device: int, number: int, data: bytearray) -> None: ...

    def map(self, device: int, length: int, offset: int) -> Any: ...

    def wait(self, device: int, timeout_s: float) -> bool: ...

    def close(self, device: int) -> None: ...


class LinuxKernel:
    """The real one."""

    def __init__(self) -> None:
        """
        Raises:
            InputError: this is not Linux.
        """
        if sys.platform != "linux":
            raise InputError(
                f"cameras are read by Video4Linux2, which {sys.platform} does not have; give a "
                "stream instead, such as rtsp://, udp:// or http://"
            )

    def open(self, path: str) -> int:
        """Open a device without waiting for it."""
        return os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def ioctl(self, device: int, number: int, data: bytearray) -> None:
        """Call the driver; the answer is written into ``data``."""
        import fcntl  # not everywhere

        fcntl.ioctl(device, number, data)

    def map(self, device: int, length: int, offset: int) -> Any:
        """A driver's buffer."""
        return mmap.mmap(device, length, offset=offset)

    def wait(self, device: int, timeout_s: float) -> bool:
        """Whether a frame came within the timeout."""
        return bool(select.select([device], [], [], timeout_s)[0])

    def close(self, device: int) -> None:
        """Close the device."""
        os.close(device)
