"""Looks of the live page: widths, colours, texts that are cut off or lie on one another, motion.

Screenshots for people are in the temporary folder of the test run; `pytest tests/page --basetemp DIR` makes it DIR.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.page.queue import MEMBERS, TOPICS

pytest.importorskip("playwright.sync_api", reason="playwright is missing: group page of pyproject")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.page.conftest import Open, Serve

WIDTHS = (320, 400, 720, 1000, 1280)
PICTURED = (400, 1280)
SCHEMES = ("light", "dark")
FAULTS, CONTRASTS = (
    Path(__file__).with_name(f"{name}.js").read_text("utf-8") for name in ("faults", "contrasts")
)


def examine(page: Page, folder: Path, name: str) -> None:
    """Look for faults at all widths and in both colour schemes, and take screenshots of some."""
    page.evaluate("document.activeElement?.blur()")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("scrollTo(0, 0)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        assert page.evaluate(FAULTS) == [], (name, width)
        if width in PICTURED:
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=True)
    backs = set()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(CONTRASTS) == [], (name, scheme)
        backs.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(backs) == len(SCHEMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for screenshots."""
    return tmp_path_factory.mktemp("screenshots")


def test_empty(serve: Serve, open_page: Open, folder: Path) -> None:
    """No topic, no group; then a topic that nobody follows, and a group without members."""
    queue = serve()
    page = open_page(queue.url)
    expect(page.locator("#no-topic")).to_be_visible()
    examine(page, folder, "empty")
    queue.topic("news")
    queue.do("consumer-group/add", consumer_group_name="readers")
    expect(page.locator(".group")).to_be_visible()
    expect(page.locator("details.topic")).to_have_attribute("open", "")
    examine(page, folder, "begun")


def test_busy(serve: Serve, open_page: Open, folder: Path) -> None:
    """Ten topics of eight partitions, six members: closed, open, in a rebalance, disconnected."""
    queue = serve(virtual_clock=True)
    queue.fill()
    page = open_page(queue.url)
    expect(page.locator("details.topic")).to_have_count(len(TOPICS))
    expect(page.locator(".member")).to_have_count(len(MEMBERS))
    examine(page, folder, "busy")
    queue.advance(20)
    queue.join("readers", "gina", "orders", "payments", "news")
    expect(page.locator(".under-way:visible")).to_have_count(1)
    page.locator("summary").first.click()
    examine(page, folder, "rebalance")
    for member in MEMBERS[:2]:
        queue.do("consumer/heartbeat", consumer_name=member)
    queue.advance(15)
    expect(page.locator("#moves li")).not_to_have_count(1)
    page.locator("summary").nth(1).click()
    examine(page, folder, "moved")
    queue.stop()
    expect(page.locator("body.lost")).to_have_count(1)
    examine(page, folder, "disconnected")


def test_many_owners(serve: Serve, open_page: Open, folder: Path) -> None:
    """Thirty owners in one topic differ by their letters, and by colour and pattern."""
    queue = serve(virtual_clock=True)
    queue.topic("wide", 30)
    for number in range(30):
        queue.join("readers", f"member-{number}", "wide")
    page = open_page(queue.url)
    page.get_by_role("button", name="Show all 30 partitions").click()
    chips = page.locator(".row .owner > span:first-child .chip")
    expect(chips).to_have_count(30)
    assert len(set(chips.all_inner_texts())) == 30
    looks = chips.evaluate_all(
        "nodes => nodes.map(node => getComputedStyle(node)).map(each => each.backgroundColor + each.backgroundImage)"
    )
    assert len(set(looks)) == 30
    examine(page, folder, "many")


def test_reduced_motion(serve: Serve, open_page: Open) -> None:
    """Nothing moves for people who do not want that."""
    queue = serve()
    queue.join("readers", "alice")
    page = open_page(queue.url, reduced_motion="reduce")
    expect(page.locator(".member")).to_have_count(1)
    durations = page.evaluate(
        "[...document.querySelectorAll('*')].map(node => getComputedStyle(node).transitionDuration)"
    )
    assert set(durations) == {"0s"}
