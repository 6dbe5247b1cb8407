"""Thermal cameras by the name that their driver gives, and what is special about their frames.

Only what is widely documented: PureThermal boards (GroupGets) append two rows of telemetry to
Lepton frames where it is on (60 to 63 rows, 120 to 122); the InfiRay P2 Pro and the TOPDON TC001
send, as YUYV of double height, the picture above and raw 16-bit counts below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThermalCamera:
    """A known thermal camera."""

    name: str
    pattern: str
    """Of the driver's name, case-insensitive."""
    telemetry: tuple[tuple[int, int], ...] = ()
    """Heights with telemetry rows, and the rows of them that are picture."""
    raw_below: bool = False
    """YUYV frames with at least as many rows as columns hold raw counts in their lower half."""


KNOWN = (
    ThermalCamera("FLIR Boson", r"boson"),
    ThermalCamera("FLIR Lepton", r"purethermal|lepton", ((63, 60), (122, 120))),
    ThermalCamera("InfiRay P2 Pro or TC001", r"usb camera.*(p2|tc001)|tc001|p2 ?pro", (), True),
    ThermalCamera("Seek", r"seek"),
    ThermalCamera("InfiRay", r"infiray|tiny1"),
    ThermalCamera("HIKMICRO", r"hikmicro|hikvision.*thermal"),
    ThermalCamera("Workswell", r"workswell"),
)


def recognise(card: str) -> ThermalCamera | None:
    """The camera of a driver's name, if it is known."""
    return next((one for one in KNOWN if re.search(one.pattern, card, re.IGNORECASE)), None)
