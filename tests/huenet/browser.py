"""A real browser without a screen, which looks at a page as a user would."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SECONDS = 20
"""Longest to wait for anything: this machine may be busy."""


def found() -> tuple[str, str]:
    """Where Chromium and its driver are, or a skip that says what is missing."""
    pytest.importorskip("selenium", reason="selenium is not installed: no page is looked at")
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium with a chromedriver: no page is looked at (apt install chromium chromium-driver)")
    return browser, driver


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Any]:
    """A driver of selenium's, whose profile is in `folder`."""
    browser, driver = found()
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (*OPTIONS, f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as chrome:
        yield chrome


def screen(chrome: Any, width: int, height: int = 1000, scheme: str = "light") -> None:
    """A window of that many CSS pixels, and of a colour scheme."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def until(chrome: Any, script: str) -> Any:
    """What the script returns, once that is true."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(chrome, SECONDS, poll_frequency=0.02).until(lambda driver: driver.execute_script(script), script)


def complaints(chrome: Any) -> list[str]:
    """What the browser's console has: errors of the script, and what the page's policy forbade."""
    return [entry["message"] for entry in chrome.get_log("browser")]


def fetched(chrome: Any) -> set[str]:
    """The schemes of all that was asked for."""
    events = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return {address.split(":")[0] for address in asked}
