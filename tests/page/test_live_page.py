"""The live page in use: what it shows of the queue, what it says, the keyboard, the login, outages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.queue import Process, Queue, free_port

pytest.importorskip("playwright.sync_api", reason="playwright is missing: group page of pyproject")
from playwright.sync_api import Error, expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

    from tests.page.conftest import Open, Serve

SCRIPTS = Path(__file__).parents[2] / "scripts"
SLOW = 20_000
"""Milliseconds that only a broken page or server takes."""


def row(page: Page, topic: str, partition: int) -> Locator:
    """The row of a partition in the only group of an open topic."""
    card = page.locator("details.topic").filter(has=page.get_by_text(topic, exact=True))
    return card.locator(".row").filter(has=page.get_by_role("cell", name=f"P{partition}", exact=True))


def figure(page: Page, name: str) -> Locator:
    return page.locator("#figures > div").filter(has_text=name).locator("dd").first


# Contents


def test_records_are_counted(serve: Serve, open_page: Open) -> None:
    """A topic is published to: end offsets, lag and title follow; then a record is in flight, then committed."""
    queue = serve()
    queue.topic("news", 2)
    page = open_page(queue.url)
    expect(page).to_have_title("1 topic \N{EN DASH} stompliance")
    queue.join("readers", "alice", "news")
    expect(page).to_have_title("No lag \N{EN DASH} stompliance")
    queue.publish("news", 6)
    expect(page).to_have_title("Lag 6 \N{EN DASH} stompliance")
    expect(row(page, "news", 0).locator(".end")).to_have_text("3")
    expect(row(page, "news", 0).locator(".lag")).to_have_text("3")
    expect(figure(page, "Records published")).to_have_text("6")
    record = queue.poll("alice")
    line = row(page, "news", record["partition"])
    expect(line.locator(".flight")).to_have_text(f"#{record['messageId']}")
    expect(line.locator(".flight")).to_have_attribute("title", re.compile("in flight with alice"))
    queue.do("consumer/acknowledgement", consumer_name="alice", message_id=record["messageId"])
    expect(line.locator(".done")).to_have_text("1")
    expect(line.locator(".flight")).to_have_text("\N{EN DASH}")


def test_records_are_freed(serve: Serve, open_page: Open) -> None:
    """Records that all groups have committed go when room is needed: the topic says how many went."""
    queue = serve(retention="acknowledged", partition_bytes=50)
    queue.topic("news", 1)
    queue.join("readers", "alice", "news")
    page = open_page(queue.url)
    for _ in range(20):
        queue.publish("news", 1)
        record = queue.poll("alice")
        queue.do("consumer/acknowledgement", consumer_name="alice", message_id=record["messageId"])
    expect(page.locator("summary .facts")).to_have_text(re.compile(r"20 records, 1?\d of them freed"))


def test_a_killed_consumer(serve: Serve, open_page: Open) -> None:
    """A consumer process is killed: its time runs out, its partitions move, and the page shows it all."""
    queue = serve(heartbeat_timeout=5)
    queue.topic("news", 2)
    page = open_page(queue.url)
    with consumer(queue, "alice"):
        expect(page.locator(".member")).to_have_count(1, timeout=SLOW)
        bob = consumer(queue, "bob")
        with bob:
            expect(page.locator(".member").filter(has_text="bob")).to_contain_text(
                "1 partition", timeout=SLOW
            )
            owned = [
                each for each in (0, 1) if row(page, "news", each).locator("bdi").first.inner_text() == "bob"
            ]
            (place,) = owned
            bob.kill()
            bob.wait()
        expect(row(page, "news", place).locator("bdi").first).to_have_text("alice", timeout=SLOW)
        expect(page.locator(".member")).to_have_count(1)
        moves = [
            re.sub("[\u2068\u2069]", "", text) for text in page.locator("#moves li bdi").all_inner_texts()
        ]
        assert f"bob → alice in readers: news P{place}" in moves
        assert "bob is gone from readers" in moves
        strip = row(page, "news", place).get_by_role("img")
        expect(strip).to_have_attribute("aria-label", re.compile(r"bob \d+ s, alice \d+ s$"))
        colours = [
            run.evaluate("node => getComputedStyle(node).backgroundColor")
            for run in strip.locator(".run:not(.gap)").all()
        ]
        assert len(set(colours)) == 2


def consumer(queue: Queue, name: str) -> subprocess.Popen[bytes]:
    """A sample consumer of group readers, which is killed at the end if it still runs."""
    command = [
        sys.executable,
        str(SCRIPTS / "consumer.py"),
        name,
        "readers",
        "news",
        "0.1",
        "--url",
        queue.url,
    ]
    return Process(command, stdout=subprocess.DEVNULL)


def test_a_rebalance_under_way(serve: Serve, open_page: Open) -> None:
    """A partition with a record in flight shows its next owner and the time that is left."""
    queue = serve(virtual_clock=True, rebalance_timeout=20)
    queue.topic("news", 2)
    queue.join("readers", "alice", "news")
    queue.publish("news", 4)
    queue.poll_all("alice")
    page = open_page(queue.url)
    expect(page.get_by_role("status")).to_have_text("live, virtual clock")
    queue.join("readers", "bob", "news")
    expect(page.locator(".under-way:visible")).to_have_text(
        "Rebalance under way: 1 partition waits for a record in flight, 20 s at most"
    )
    moving = page.locator(".owner").filter(has=page.locator(".to:visible"))
    expect(moving).to_have_count(1)
    expect(moving).to_contain_text(re.compile(r"alice.*→.*bob.*in 20 s"))
    expect(figure(page, "on the move")).to_have_text("1")
    queue.advance(5)
    expect(moving).to_contain_text("in 15 s")
    queue.advance(15)
    expect(page.locator(".to:visible")).to_have_count(0)
    expect(figure(page, "on the move")).to_have_text("0")


def test_times_to_evictions(serve: Serve, open_page: Open) -> None:
    """Members have the time that is left, in words and as a bar; one that waits in a poll has none."""
    queue = serve(virtual_clock=True, heartbeat_timeout=100)
    queue.topic("news", 1)
    queue.join("readers", "alice", "news")
    queue.join("readers", "bob")
    page = open_page(queue.url)
    alice, bob = (page.locator(".member").filter(has_text=name) for name in ("alice", "bob"))
    expect(alice).to_contain_text("evicted in 100 s")
    expect(bob).to_contain_text("subscribed to no topic")
    queue.advance(80)
    queue.do("consumer/heartbeat", consumer_name="alice")
    expect(bob).to_contain_text("evicted in 20 s")
    expect(bob).to_have_class(re.compile("late"))
    expect(page.locator(".group")).to_contain_text("2 members, 1 close to eviction")
    expect(alice).not_to_have_class(re.compile("late"))
    queue.advance(20)
    expect(bob).to_have_count(0)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_empty_states_say_what_to_do(serve: Serve, open_page: Open) -> None:
    """The commands that an empty page shows work as they stand, one after the other."""
    queue = serve()
    page = open_page(queue.url)
    expect(page.locator("#no-topic")).to_contain_text("No topic yet")
    for place in ("#no-topic", "#no-group"):
        commands = page.locator(f"{place} pre").all_inner_texts()
        assert len(commands) >= 2
        for command in commands:
            subprocess.run(["sh", "-c", f"{command} --fail --silent"], check=True, capture_output=True)
    expect(row(page, "news", 0).locator("bdi").first).to_have_text("alice")
    expect(page.locator("#no-topic")).to_be_hidden()
    expect(page.locator("#no-group")).to_be_hidden()
    queue.do("consumer/unregister-consumer", consumer_name="alice")
    expect(page.locator(".group")).to_contain_text("No member")
    queue.topic("unread", 1)
    expect(page.locator("details.topic").nth(1)).to_contain_text("No consumer group follows this topic")


def test_long_lists(serve: Serve, open_page: Open) -> None:
    """Many partitions are folded, many topics counted; the filter finds one that is not shown."""
    queue = serve()
    queue.topic("wide", 40)
    queue.join("readers", "alice", "wide")
    for number in range(210):
        queue.topic(f"t{number}", 1)
    page = open_page(queue.url)
    rows = page.locator("details.topic").first.locator(".row:not(.head)")
    expect(page.locator("#topic-rest")).to_have_text(
        "11 more topics not shown. The filter finds topics by name."
    )
    page.locator("summary").first.click()
    expect(rows).to_have_count(16)
    page.get_by_role("button", name="Show all 40 partitions").click()
    expect(rows).to_have_count(40)
    page.get_by_role("searchbox").fill("t209")
    expect(page.locator("details.topic .title")).to_have_text(["t209"])
    page.get_by_role("searchbox").fill("<b>nothing")
    expect(page.locator("#no-topic")).to_contain_text("“<b>nothing”")


ODD_NAMES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "&lt;b&gt; `${alert(1)}` ' \"",
    "עברית \u202eenglish\u202c العربية",
    "e\u0301cole cafe\u0301 \u1112\u1161\u11ab",
    "x" * 255,
    "\U0001d4c3" * 63,
    "two\nlines\tand tabs",
    "__proto__",
    "constructor",
    " ",
]


def test_names_are_text(serve: Serve, open_page: Open) -> None:
    """Names with markup, quotes, two directions, combining marks and 255 octets are shown as they are, and fit.

    This server refuses such names, so they are put into its answers on their way.
    """
    queue = serve()
    page = open_page(queue.url)

    def answer(route: Route) -> None:
        route.fulfill(json=odd_document())

    page.route("**/live*", answer)
    expect(page.locator("details.topic")).to_have_count(len(ODD_NAMES))
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        for name in ("Close all", "Open all"):
            assert page.evaluate("document.documentElement.scrollWidth") == width
            page.get_by_role("button", name=name).click()
    assert page.locator("main :is(img, script, b, svg)").count() == 0
    texts = page.locator(".topic bdi.title").evaluate_all("nodes => nodes.map(node => node.textContent)")
    assert texts == ODD_NAMES


def odd_document() -> dict[str, Any]:
    topics = [
        {
            "topicName": name,
            "partitions": [{"partition": 0, "name": f"{name}-P0", "broker": "broker0", "endOffset": 3}],
            "groupCount": 1,
            "groups": [
                {
                    "consumer_group_name": name,
                    "assignment": [
                        {
                            "topicName": name,
                            "partition": 0,
                            "consumer_name": name,
                            "committed": 1,
                            "endOffset": 3,
                            "lag": 2,
                            "inFlight": 7,
                            "next": name,
                            "secondsLeft": 3.5,
                        }
                    ],
                }
            ],
        }
        for name in ODD_NAMES
    ]
    member = {"topicCount": 1, "partitionCount": 1, "inFlightCount": 1, "secondsLeft": 12.0}
    groups = [
        {
            "consumer_group_name": name,
            "memberCount": 1,
            "leaving": 0,
            "topicCount": 1,
            "members": [member | {"consumer_name": name}],
        }
        for name in ODD_NAMES
    ]
    number = len(ODD_NAMES)
    return {
        "heartbeat_timeout": 30.0,
        "rebalance_timeout": 30.0,
        "virtual_clock": False,
        "began": 0.5,
        "uptime": 1e6,
        "login": False,
        "counts": {"topics": number, "groups": number, "members": number},
        "found": {"topics": number, "groups": number},
        "published": 3 * number,
        "topics": topics,
        "groups": groups,
    }


# Access and outages


def test_login(serve: Serve, open_page: Open) -> None:
    """With users, the page wants a login, its polls carry it, and its commands name the option."""
    queue = serve(users={"ann": "se:cret"})
    page = open_page(queue.url, http_credentials={"username": "ann", "password": "se:cret"})
    expect(page.get_by_role("status")).to_contain_text("live")
    expect(page.locator("#no-topic pre").first).to_contain_text("curl -u NAME")
    with pytest.raises(Error, match="INVALID_AUTH_CREDENTIALS"):  # a person is asked for it
        open_page(queue.url)
    wrong = open_page(queue.url, http_credentials={"username": "ann", "password": "guess"})
    assert "login-refused" in wrong.content()


def test_a_server_that_goes_away_and_comes_back(open_page: Open) -> None:
    """The page says so, in its title, too, and goes on by itself with a new server at the same address."""
    port = free_port()
    queue = Queue(f"http://127.0.0.1:{port}/")
    with server(port):
        queue.topic("news", 1)
        page = open_page(queue.url)
        expect(page.locator(".title")).to_have_text("news")
    expect(page).to_have_title("Disconnected, trying again \N{EN DASH} stompliance", timeout=SLOW)
    expect(page.get_by_role("status")).to_have_text("Disconnected, trying again")
    expect(page.locator(".title")).to_have_text("news")
    with server(port):
        queue.topic("orders", 1)
        expect(page).to_have_title("1 topic \N{EN DASH} stompliance", timeout=SLOW)
        expect(page.locator(".title")).to_have_text("orders")
        expect(page.locator("#moves")).to_contain_text("The server was started again")
        expect(page.locator("body.lost")).to_have_count(0)


def server(port: int) -> subprocess.Popen[bytes]:
    """A server in a process of its own, which listens."""
    command = [sys.executable, "-m", "reference_server", "--port", str(port)]
    process = Process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"stompliance")
    return process


def test_answers_that_are_refusals(serve: Serve, open_page: Open) -> None:
    """The page names the reason, and what can be done."""
    page = open_page(serve().url)
    status = {"code": 404}
    page.route("**/live*", lambda route: route.fulfill(status=status["code"], body="no"))
    for code, reason in (
        (404, "Introspection is off"),
        (429, "Too many wrong logins"),
        (500, "The server answered 500"),
        (200, "Disconnected"),
    ):
        status["code"] = code
        expect(page.get_by_role("status")).to_contain_text(reason, timeout=SLOW)
    page.unroute("**/live*")
    expect(page.get_by_role("status")).to_contain_text("live", timeout=SLOW)


# Keyboard


def test_keyboard(serve: Serve, open_page: Open) -> None:
    """Topics are reached by Tab and opened by Enter, and stay focused and open over polls; / goes to the filter."""
    queue = serve()
    for name in ("news", "orders"):
        queue.topic(name, 30)
    page = open_page(queue.url)
    summary = page.locator("summary").first
    expect(summary).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("/ord")
    expect(page.locator("#no-topic")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("details.topic")).to_have_count(2)
    expect(page.get_by_role("searchbox")).to_have_value("")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Open all")).to_be_focused()
    page.keyboard.press("Tab")
    expect(summary).to_be_focused()
    assert summary.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("details.topic").first).to_have_attribute("open", "")
    queue.publish("news", 3)
    expect(page.locator("summary").first).to_contain_text("3 records")
    expect(summary).to_be_focused()
    expect(page.locator("details.topic").first).to_have_attribute("open", "")
