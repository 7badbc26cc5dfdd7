"""The picture of a history: readable, zoomed and moved by mouse, keyboard and touch, in light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.history.files import HistoryFile
from conformance.history.judgement import judge
from conformance.history.system_facts import facts_of
from conformance.reporting.judgement_html import page as page_of
from tests.history.story import Story

pytest.importorskip("playwright.sync_api", reason="playwright is missing: group page of pyproject")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.page.conftest import Open

PARTITIONS, RECORDS = 6, 660


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with six partitions, three consumers and 2,000 events; an acknowledged record comes again."""
    story = Story(partitions={"t": PARTITIONS}, heartbeat_timeout=10_000.0)
    story.joined("ann", "bob", "cid")
    story.wait(10.0)
    for number in range(RECORDS):
        partition, offset = number % PARTITIONS, number // PARTITIONS
        story.published(f"r{number}", place=(partition, offset))
        story.read(("ann", "bob", "cid")[partition % 3], f"r{number}")
    story.got("ann", f"r{RECORDS // 2}")
    file = HistoryFile("</script><b>a story", facts_of(story.parameters), story.history, len(story.history))
    judgement = judge(file)
    path: Path = tmp_path_factory.mktemp("picture") / "judgement.html"
    path.write_text(page_of([judgement], "BROKEN: commit-never-goes-back", 1), "utf-8")
    return path.as_uri()


def span(page: Page) -> tuple[float, float]:
    """The times at the left and the right edge, in seconds, after the next frame."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    figure = page.locator("figure.history")
    return float(figure.get_attribute("data-from") or 0), float(figure.get_attribute("data-to") or 0)


def width(page: Page) -> float:
    """Seconds that are in view."""
    start, end = span(page)
    return end - start


def test_the_picture_shows_every_partition_and_the_anomaly(url: str, open_page: Open) -> None:
    """All of the history is in view at first; the anomaly is named, and zoomed to."""
    page = open_page(url)
    whole = width(page)
    assert whole > RECORDS
    assert page.locator("figure.history canvas").bounding_box()["height"] > PARTITIONS * 30  # type: ignore[index]
    page.get_by_role("button", name="Next anomaly").click()
    expect(page.locator(".history-said")).to_contain_text("1 of 2: nonmonotonic poll (ORDER-1)")
    page.get_by_role("button", name="Next anomaly").click()
    expect(page.locator(".history-said")).to_contain_text("2 of 2: commit went back (ACK-COMMIT-1)")
    assert width(page) < whole
    page.get_by_role("button", name="All").click()
    assert width(page) == pytest.approx(whole)
    assert page.locator("b", has_text="a story").count() == 0


def test_mouse(url: str, open_page: Open) -> None:
    """The wheel zooms around the pointer, dragging moves, a click tells the event."""
    page = open_page(url)
    box = page.locator("figure.history canvas").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = width(page)
    page.mouse.move(*middle)
    for _ in range(4):
        page.mouse.wheel(0, -300)
    assert width(page) < before / 10
    start, _ = span(page)
    page.mouse.down()
    page.mouse.move(middle[0] - 200, middle[1], steps=4)
    page.mouse.up()
    assert span(page)[0] > start
    for x in range(int(box["x"]) + 150, int(box["x"] + box["width"]) - 20, 8):
        page.mouse.click(x, box["y"] + 70)
        if page.locator(".history-said").text_content():
            break
    expect(page.locator(".history-said")).to_contain_text("→ ok")


def test_keyboard(url: str, open_page: Open) -> None:
    """Plus and minus zoom, arrows move, N goes to the anomaly, 0 shows all."""
    page = open_page(url)
    page.locator("figure.history canvas").focus()
    whole = width(page)
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert width(page) == pytest.approx(whole / 4)
    start, _ = span(page)
    page.keyboard.press("ArrowRight")
    assert span(page)[0] > start
    page.keyboard.press("ArrowLeft")
    assert span(page)[0] == pytest.approx(start)
    page.keyboard.press("n")
    expect(page.locator(".history-said")).to_contain_text("nonmonotonic poll")
    page.keyboard.press("0")
    assert width(page) == pytest.approx(whole)
    page.keyboard.press("-")
    assert width(page) >= whole


def test_touch(url: str, open_page: Open) -> None:
    """One finger moves, two fingers zoom."""
    page = open_page(url, has_touch=True, viewport={"width": 400, "height": 800})
    page.locator("figure.history canvas").scroll_into_view_if_needed()
    box = page.locator("figure.history canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + 200, box["y"] + 60
    device = page.context.new_cdp_session(page)

    def touch(kind: str, *places: float) -> None:
        points = [{"x": place, "y": y, "id": number} for number, place in enumerate(places)]
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    before = width(page)
    touch("touchStart", x - 20, x + 20)
    for step in range(1, 8):
        touch("touchMove", x - 20 - 10 * step, x + 20 + 10 * step)
    touch("touchEnd")
    assert width(page) < before / 2
    start, _ = span(page)
    touch("touchStart", x)
    for step in range(1, 8):
        touch("touchMove", x - 10 * step)
    touch("touchEnd")
    assert span(page)[0] > start


@pytest.mark.parametrize("page_width", [320, 1280])
def test_looks(url: str, open_page: Open, page_width: int) -> None:
    """The page is as wide as the window; the canvas has the colours of the scheme, and is not blank."""
    page = open_page(url, viewport={"width": page_width, "height": 900})
    span(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page_width
    corners = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        span(page)
        colours = page.evaluate(
            """() => {
              const canvas = document.querySelector("figure.history canvas")
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
              const found = new Map()
              for (let at = 0; at < data.length; at += 4) {
                const colour = `${data[at]},${data[at + 1]},${data[at + 2]}`
                found.set(colour, (found.get(colour) ?? 0) + 1)
              }
              return { corner: `${data[0]},${data[1]},${data[2]}`, many: found.size }
            }"""
        )
        corners.add(colours["corner"])
        assert colours["many"] > 20
    assert len(corners) == 2
