"""A real headless Chromium, for the pages."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from headless_browser import BROWSER, DRIVER, chromium

__all__ = ["chromium", "needs_browser", "shot"]

needs_browser = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="chromium and chromedriver are not installed"
)
SHOTS = os.environ.get("LADLE_RT_SCREENSHOTS")
"""A folder for pictures of the page, for the eye."""


def shot(browser: Any, name: str) -> None:
    """Keep a picture of the page, where somebody asked for them."""
    if SHOTS:
        time.sleep(0.5)  # What fades is done.
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(SHOTS) / f"{name}.png"))
