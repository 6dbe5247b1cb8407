"""The page as a person sees it, in a real headless Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from headless import chromium, needs_browser, shot
from selenium.webdriver.common.by import By
from waiting import wait_for

from ladle_rt.sinks.preview import figures
from ladle_rt.sinks.switches import Switch

pytestmark = needs_browser


@pytest.fixture(autouse=True)
def _figures_come_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart has its points sooner."""
    monkeypatch.setattr(figures, "EVERY_S", 0.1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


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
    assert text(browser, "state") == "live" and text(browser, "p50") == "31"
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
    wait_for(lambda: text(browser, "state") == "live")
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
        for button in browser.find_elements(By.CSS_SELECTOR, "main button, main a"):
            box = button.rect
            assert box["x"] >= 0 and box["x"] + box["width"] <= size[0] and box["height"] >= 40
        shot(browser, f"phone-{size[0]}")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_token_opens_the_page_and_nothing_else_does(
    browser: Any, serve: Callable[..., Any]
) -> None:
    page = serve("0.0.0.0:0")
    address = page.told[0].partition(" ")[2]
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


def test_a_link_from_another_site_opens_the_page(browser: Any, serve: Callable[..., Any]) -> None:
    """As from a chat in the browser: the cookie of its token must come along to the page."""
    page = serve("0.0.0.0:0")
    address = page.told[0].partition(" ")[2]
    browser.delete_all_cookies()
    browser.get("data:text/html,<meta name=referrer content=unsafe-url>"
                f"<a id=link href='{address}'>the camera</a>")  # fmt: skip
    browser.find_element(By.ID, "link").click()
    wait_for(lambda: browser.find_elements(By.ID, "picture") and pixels(browser).size)
    browser.delete_all_cookies()


def veil(browser: Any) -> str:
    found: str = browser.find_element(By.ID, "veil").text
    return found


def test_a_stopped_stream_looks_stopped(browser: Any, serve: Callable[..., Any]) -> None:
    page = serve()
    open_page(browser, page)
    wait_for(lambda: text(browser, "state") == "live")
    wait_for(lambda: browser.execute_script("return Chart.count()") >= 4)
    shot(browser, "running")
    page.close()
    wait_for(lambda: text(browser, "state") == "stopped")
    assert "Stream stopped" in veil(browser) and browser.title.startswith("■ stopped")
    assert not text(browser, "fps")[0].isdigit()
    assert not browser.find_element(By.ID, "record").is_enabled()
    dark = "return getComputedStyle(document.getElementById('picture')).filter"
    wait_for(lambda: "grayscale(1)" in browser.execute_script(dark))
    shot(browser, "stopped")
    # Another one on the same port: the page comes back by itself.
    again = serve(page.url.rpartition(":")[2].strip("/"))
    wait_for(lambda: text(browser, "state") == "live", 30)
    assert again.count and veil(browser) == ""


def test_a_stream_that_is_gone_without_a_word(browser: Any, serve: Callable[..., Any]) -> None:
    page = serve()
    open_page(browser, page)
    wait_for(lambda: text(browser, "state") == "live")
    page.answers.clear()
    try:
        wait_for(lambda: text(browser, "state") == "no connection", 30)
        assert "No connection" in veil(browser)
        shot(browser, "no-connection")
    finally:
        page.answers.set()


def test_keys_and_switches(browser: Any, serve: Callable[..., Any], tmp_path: Path) -> None:
    turned = [False]
    isotherm = Switch(
        "isotherm", "Isotherm", lambda: turned[0], lambda on: turned.__setitem__(0, on), "i"
    )
    page = serve(switches=(isotherm,))
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    open_page(browser, page)
    button = wait_for(lambda: browser.find_elements(By.ID, "switch-isotherm"))[0]
    assert button.text == "Isotherm" and button.get_attribute("aria-pressed") == "false"
    button.click()
    wait_for(lambda: turned[0] and button.get_attribute("aria-pressed") == "true")
    shot(browser, "isotherm")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("i")
    wait_for(lambda: not turned[0])
    body.send_keys("2")
    pressed = "[data-layout='thermal'][aria-pressed='true']"
    wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, pressed))
    body.send_keys("s")
    wait_for(lambda: page.hands.asked == ["snapshot"])
    body.send_keys("d")
    (file,) = wait_for(lambda: list(tmp_path.glob("ladle-*.jpg")))
    wait_for(lambda: cv2.imread(str(file)) is not None)
    body.send_keys("?")
    wait_for(lambda: browser.find_element(By.ID, "help").is_displayed())
    assert "Isotherm on, off" in text(browser, "help")
    shot(browser, "keys")
    body.send_keys("r")
    browser.find_element(By.CSS_SELECTOR, "#help button").click()
    assert page.hands.asked == ["snapshot"]
    body.send_keys("f")
    wait_for(lambda: browser.execute_script("return document.fullscreenElement?.id") == "stage")
    shot(browser, "fullscreen")
    body.send_keys("f")
    wait_for(lambda: browser.execute_script("return document.fullscreenElement") is None)


CONTRAST = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const [r, g, b, a = 1] = rgb(getComputedStyle(node).backgroundColor);
    if (a === 1) return [r, g, b];
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll("header *, main *")].filter((node) =>
  [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim()) && node.offsetParent
).map((node) => {
  const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))].sort();
  return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.trim()];
});
"""


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_both_themes_can_be_read_and_nothing_jumps(
    browser: Any, serve: Callable[..., Any], theme: str
) -> None:
    page = serve()
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        open_page(browser, page)
        wait_for(lambda: browser.execute_script("return Chart.count()") >= 6)
        ratios = browser.execute_script(CONTRAST)
        # WCAG 2.1, level AA.
        assert len(ratios) > 30 and [one for one in ratios if one[0] < 4.5] == []
        ground = "return getComputedStyle(document.body).backgroundColor"
        first = int(browser.execute_script(ground).partition("(")[2].partition(",")[0])
        assert (first < 60) == (theme == "dark")
        shift = browser.execute_async_script(
            "const done = arguments[0]; let sum = 0;"
            "new PerformanceObserver((list) => {"
            "  for (const entry of list.getEntries()) sum += entry.value;"
            "}).observe({ type: 'layout-shift', buffered: true });"
            "setTimeout(() => done(sum), 300);"
        )
        assert shift < 0.01
        shot(browser, theme)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
