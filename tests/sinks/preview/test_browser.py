"""The page as a person sees it, in a real headless Chromium."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="chromium and chromedriver are not installed"
)
SHOTS = os.environ.get("LADLE_RT_SCREENSHOTS")
"""A folder for pictures of the page, for the eye."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


def wait_for(condition: Callable[[], Any], limit_s: float = 15.0) -> Any:
    end_s = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end_s, "the page did not get there"
        time.sleep(0.05)
    return found


def shot(browser: Any, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(SHOTS) / f"{name}.png"))


def text(browser: Any, name: str) -> str:
    found: str = browser.find_element(By.ID, name).text
    return found


def pixels(browser: Any) -> np.ndarray:
    """The live picture as the browser decoded it; empty before the first one."""
    values = browser.execute_script(
        "const p = document.getElementById('picture'), c = document.createElement('canvas');"
        "if (!p.naturalWidth) return [];"
        "c.width = 64; c.height = 48; const x = c.getContext('2d'); x.drawImage(p, 0, 0, 64, 48);"
        "return Array.from(x.getImageData(0, 0, 64, 48).data);"
    )
    return np.array(values, int)


def open_page(browser: Any, page: Any, size: tuple[int, int] = (1200, 1000)) -> None:
    browser.set_window_size(*size)
    browser.get(page.url)
    wait_for(lambda: pixels(browser).size)


def test_picture_moves_chart_fills_buttons_work(browser: Any, serve: Callable[..., Any]) -> None:
    page = serve()
    open_page(browser, page)
    first = pixels(browser)
    wait_for(lambda: np.abs(pixels(browser) - first).mean() > 2)
    wait_for(lambda: browser.execute_script("return Chart.count()") >= 4)
    drawn = browser.execute_script(
        "const c = document.getElementById('chart');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return d.filter((v, i) => i % 4 === 3 && v > 0).length;"
    )
    assert drawn > 1000
    assert text(browser, "state") == "running" and text(browser, "p50") == "31"
    assert float(text(browser, "fps")) > 20
    browser.find_element(By.ID, "snapshot").click()
    wait_for(lambda: text(browser, "notice") == "saved shot.png")
    record = browser.find_element(By.ID, "record")
    record.click()
    wait_for(lambda: record.text == "Stop")
    shot(browser, "recording")
    record.click()
    wait_for(lambda: record.text == "Record")
    assert page.hands.asked == ["snapshot", "record", "stop"]
    for layout, width in (("thermal", 160), ("side-by-side", 320)):
        browser.find_element(By.CSS_SELECTOR, f"[data-layout='{layout}']").click()
        wait_for(
            lambda width=width: (
                browser.execute_script("return document.getElementById('picture').naturalWidth")
                == width
            )
        )
    shot(browser, "side-by-side")
    errors = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert [line for line in errors if "favicon" not in line["message"]] == []


def test_a_lost_source_is_told(browser: Any, serve: Callable[..., Any]) -> None:
    page = serve()
    page.state, page.problem = "lost", "no frame for 5 s"
    open_page(browser, page)
    wait_for(lambda: "reconnecting" in text(browser, "state"))
    assert text(browser, "problem") == "no frame for 5 s"
    page.state, page.problem = "running", None
    wait_for(lambda: text(browser, "state") == "running")
    assert not browser.find_element(By.ID, "problem").is_displayed()


@pytest.mark.parametrize("size", [(375, 740), (740, 375)], ids=["portrait", "landscape"])
def test_a_phone_shows_all_of_it(
    browser: Any, serve: Callable[..., Any], size: tuple[int, int]
) -> None:
    page = serve()
    try:
        # A headless window cannot be this narrow; the device's own metrics can.
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 2, "mobile": True},
        )
        browser.get(page.url)
        wait_for(lambda: pixels(browser).size)
        wait_for(lambda: browser.execute_script("return Chart.count()") >= 2)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
        for button in browser.find_elements(By.TAG_NAME, "button"):
            box = button.rect
            assert box["x"] >= 0 and box["x"] + box["width"] <= size[0] and box["height"] >= 40
        shot(browser, f"phone-{size[0]}")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_token_opens_the_page_and_nothing_else_does(
    browser: Any, serve: Callable[..., Any]
) -> None:
    page = serve("0.0.0.0:0")
    address = page.told[0].partition(" ")[2].replace("0.0.0.0", "127.0.0.1")
    bare = address.partition("?")[0]
    browser.delete_all_cookies()
    browser.get(bare)
    assert "token" in browser.page_source and not browser.find_elements(By.ID, "picture")
    browser.get(address)
    wait_for(lambda: pixels(browser).size)
    assert "token" not in browser.current_url
    browser.get(bare)
    wait_for(lambda: pixels(browser).size)
    browser.delete_all_cookies()
