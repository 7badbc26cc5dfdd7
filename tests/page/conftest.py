"""A browser, pages that fail the test if anything goes wrong in them, and a server to look at."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    Open = Callable[..., Page]
    Serve = Callable[..., Queue]

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as the system has it."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is missing: group page of pyproject"
    )
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"there is no Chromium: none of {', '.join(NAMES)} is on the PATH")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Function that opens a page in a context of its own; options are those of the context.

    The test fails if a script fails, the policy forbids something, or anything else than the server is asked.
    """
    contexts, troubles = [], []

    def open_at(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(f"a dialog: {dialog.message}"))
        page.on("console", lambda line: line.type == "error" and troubles.append(line.text))
        page.on("request", lambda each: each.url.startswith((url, "data:")) or troubles.append(each.url))
        page.goto(url)
        return page

    yield open_at
    for context in contexts:
        context.close()
    # Chromium notes requests that failed or were refused: those of servers that go away, or want a login.
    assert [trouble for trouble in troubles if "Failed to load resource" not in trouble] == []


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers in this process, with the given settings."""
    servers = []

    def start(**settings: Any) -> Queue:
        servers.append(Queue.of(**settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
