"""The browser, for tests of pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.huenet.browser import screen, started


@pytest.fixture(scope="session")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One for all tests: it takes seconds to start."""
    with started(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture
def chrome(_browser: Any) -> Any:
    """With a large window, nothing in its logs, and nothing kept for any page."""
    _browser.get("about:blank")
    screen(_browser, 1400)
    _browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "file://", "storageTypes": "local_storage"})
    for log in ("browser", "performance"):
        _browser.get_log(log)
    return _browser


@pytest.fixture
def downloads(chrome: Any, tmp_path: Path) -> Path:
    """Where files are saved."""
    folder = tmp_path / "downloads"
    chrome.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    return folder
