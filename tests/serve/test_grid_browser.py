"""The page with all cameras as a person sees it, in a real headless Chromium."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from headless import chromium, needs_browser, shot
from selenium.webdriver.common.by import By

from ladle_rt.serve.serve_config import CameraConfig, ServeConfig
from ladle_rt.serve.supervisor import Supervisor
from ladle_rt.sources.base import SourceOptions


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as driver:
        driver.set_window_size(1280, 960)
        yield driver


@pytest.fixture
def served(
    config: Callable[..., ServeConfig], clip: Path, looped: SourceOptions
) -> Iterator[Supervisor]:
    cameras = [CameraConfig(f"camera{n}", str(clip), open=looped) for n in range(1, 8)]
    cameras.append(CameraConfig("roof", "/dev/video77", record=True))
    with Supervisor(config(*cameras, address="127.0.0.1:0"), lambda line: None) as supervisor:
        yield supervisor


def names(browser: Any) -> list[str]:
    return [one.text for one in browser.find_elements(By.CSS_SELECTOR, ".tile .name")]


@needs_browser
def test_a_grid_and_one_camera_large(
    browser: Any, served: Supervisor, until: Callable[..., Any]
) -> None:
    browser.get(served.urls[0])
    until(lambda: len(names(browser)) == 8)
    assert names(browser) == [*(f"camera{n}" for n in range(1, 8)), "roof"]
    # More tiles than a browser keeps connections: all have pictures nevertheless, and new ones.
    shown = (
        "return [...document.querySelectorAll('.tile img')].filter((i) => i.naturalWidth === 160)"
        ".map((i) => i.src)"
    )
    first = until(lambda: (found := browser.execute_script(shown)) and len(found) == 7 and found)
    until(lambda: not set(first) & set(browser.execute_script(shown)))
    roof = browser.find_elements(By.CSS_SELECTOR, ".tile")[-1]
    until(lambda: roof.find_element(By.CSS_SELECTOR, ".alarms").text == "away")
    assert roof.find_element(By.CSS_SELECTOR, ".veil").text == "Away, trying again"
    # A machine that is busy drops frames of the others, which is an alarm too.
    assert browser.find_element(By.ID, "state").text.endswith(" of 8 cameras need a look")
    shot(browser, "grid")
    browser.find_elements(By.CSS_SELECTOR, ".tile")[1].click()
    width = "return document.getElementById('picture').naturalWidth"
    until(lambda: browser.execute_script(width) == 160)
    assert browser.find_element(By.ID, "large-name").text == "camera2"
    assert browser.current_url.endswith("#camera2")
    browser.find_element(By.CSS_SELECTOR, "[data-layout='side-by-side']").click()
    until(lambda: browser.execute_script(width) == 320)
    shot(browser, "large")
    browser.find_element(By.ID, "back").click()
    assert not browser.find_element(By.ID, "large").is_displayed()
    served.problem = "cameras.toml: unknown key 'nme'; did you mean name?"
    until(lambda: "did you mean name?" in browser.find_element(By.ID, "problem").text)
    shot(browser, "refused")
    errors = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert [line for line in errors if "favicon" not in line] == []
    # The page of one camera lies below the grid, with its own figures and buttons.
    browser.get(f"{served.urls[0]}camera/camera3/")
    until(lambda: browser.find_element(By.ID, "state").text == "live")
    shot(browser, "own")


def answer(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_and_health_of_every_camera(served: Supervisor, until: Callable[..., Any]) -> None:
    url = served.urls[0]
    until(lambda: all(f.presented for n, f in served.figures().items() if n != "roof"))
    status, text = answer(f"{url}metrics")
    assert status == 200
    for camera in served.figures():
        assert f'ladle_rt_captured_total{{camera="{camera}"}}' in text
    assert 'ladle_rt_alarm{alarm="away",camera="roof"} 1.0' in text or (
        'ladle_rt_alarm{camera="roof",alarm="away"} 1.0' in text
    )
    assert 'ladle_rt_up{camera="camera1"} 1.0' in text and "ladle_rt_disk_free_bytes" in text
    # Once, however many cameras: Prometheus refuses a family that comes twice.
    types = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types)) and text.count("\nladle_rt_rss_mb ") == 1
    status, text = answer(f"{url}healthz")
    assert status == 503 and text.startswith("roof: lost, ")
    assert answer(f"{url}camera/camera1/healthz")[0] == 200
    assert answer(f"{url}camera/nonesuch/snapshot.jpg")[0] == 404
    assert answer(f"{url}nothing")[0] == 404
