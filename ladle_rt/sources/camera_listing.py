"""The sources that this machine has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ladle_rt.errors import InputError
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.v4l2.cameras import recognise
from ladle_rt.sources.v4l2.kernel import Kernel, LinuxKernel
from ladle_rt.sources.v4l2.v4l2_device import V4l2Device
from ladle_rt.sources.v4l2.v4l2_source import choose


@dataclass(frozen=True, slots=True)
class FoundSource:
    """One camera, or why it cannot be used."""

    device: str
    """What to type after ``--device``."""
    name: str
    thermal: bool
    """Known to be a thermal camera."""
    formats: tuple[str, ...]
    chosen: str | None
    """What would be captured."""
    problem: str | None


def list_cameras(folder: Path = Path("/dev"), kernel: Kernel | None = None) -> list[FoundSource]:
    """V4L2 devices that capture; other nodes of a camera (metadata) are left out.

    Args:
        folder: where ``video*`` lie.
        kernel: stands in for the real one in tests.
    """
    paths = sorted(folder.glob("video*"), key=lambda path: int("0" + re.sub(r"\D", "", path.name)))
    found = (_look(str(path), kernel or LinuxKernel()) for path in paths)
    return [one for one in found if one is not None]


def _look(path: str, kernel: Kernel) -> FoundSource | None:
    try:
        device = V4l2Device(path, kernel)
    except InputError as error:
        if "does not capture" in str(error):
            return None
        return FoundSource(path, "", False, (), None, str(error))
    with device:
        offers = device.offers()
        camera = recognise(device.card)
        name = device.card if camera is None else f"{camera.name} ({device.card})"
        formats = tuple(map(str, offers))
        try:
            chosen, (width, height) = choose(offers, SourceOptions(), path, camera)
        except InputError as error:
            return FoundSource(path, name, camera is not None, formats, None, str(error))
        what = f"{chosen} {width}x{height}"
        return FoundSource(path, name, camera is not None, formats, what, None)
