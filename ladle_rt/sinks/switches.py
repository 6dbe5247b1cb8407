"""What a person may turn on and off while a stream runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switch:
    """One of them; its functions are called from any thread."""

    name: str
    """In addresses: lower-case letters, digits and hyphens."""
    label: str
    """On the button, a word or two."""
    is_on: Callable[[], bool]
    """Its state."""
    turn: Callable[[bool], None]
    """Turn it on or off; raises a `LadleError` where that cannot be done."""
    key: str | None = None
    """One character on a keyboard that turns it, where there is one."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]+", self.name):
            raise ValueError(f"expected a-z, 0-9 and hyphens, received {self.name!r}")
