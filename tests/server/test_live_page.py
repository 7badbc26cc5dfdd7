"""The live page at / and its document at /live, as octets: headers, login, the switch, the lock."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from typing import TYPE_CHECKING

import pytest

from reference_server.queue import live
from tests.server.wire import Http, eventually, request

if TYPE_CHECKING:
    from tests.server.conftest import Serve

PATHS = ("/", "/live")


def test_headers(serve: Serve) -> None:
    """Nothing is cached or sniffed, and the policy allows the page's own script and style and nothing else."""
    with Http.to(serve()) as client:
        page, document = client.get("/"), client.get("/live")
    for answer in (page, document):
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert document.headers["content-type"] == "application/json"
    policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for element in ("script", "style"):
        (content,) = re.findall(rf"<{element}>(.*?)</{element}>", page.body.decode(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"


def test_self_contained(serve: Serve) -> None:
    """The page names no address but its own and those of XML, and sets no markup from text."""
    with Http.to(serve()) as client:
        page = client.get("/").body.decode()
    assert set(re.findall(r"https?://[^\s'\"`)]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b| on\w+=", page)


@pytest.mark.parametrize("path", PATHS)
def test_methods(serve: Serve, path: str) -> None:
    """HEAD is answered without a body; anything else than GET and HEAD is 405."""
    with Http.to(serve()) as client:
        client.send(request("HEAD", path))
        assert client.answer(to_head=True).status == 200
        answer = client.exchange(request("POST", path, b"{}"))
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", [*PATHS, "/topics", "/topics/news", "/consumer-groups/readers"])
def test_without_introspection(serve: Serve, path: str) -> None:
    """--no-introspection: 404 that says why, and the capabilities do not declare the extension."""
    with Http.to(serve(introspection=False)) as client:
        client.ask("/topic/add-topic", topicName="news")
        client.ask("/consumer-group/add", consumer_group_name="readers")
        answer = client.get(path)
        assert (answer.status, answer.cause) == (404, "no-introspection")
        assert "--introspection" in answer.json["detail"]
        assert "introspection" not in client.get("/capabilities").json["extensions"]


@pytest.mark.parametrize("path", PATHS)
def test_login(serve: Serve, path: str) -> None:
    """With users the page and the document are there for them only; a browser asks for the login."""
    with Http.to(serve(user=("ann:secret",))) as client:
        answer = client.get(path)
        assert (answer.status, answer.cause) == (401, "login-refused")
        assert answer.headers["www-authenticate"].startswith("Basic ")
        right = "Basic " + base64.b64encode(b"ann:secret").decode()
        assert client.exchange(request("GET", path, Authorization=right)).status == 200


def test_pages_of_others(serve: Serve) -> None:
    """Another page gets nothing of the document."""
    with Http.to(serve()) as client:
        assert client.exchange(request("GET", "/live", Origin="http://evil.example")).status == 403
        assert client.exchange(request("GET", "/live", Host="evil.example")).status == 421


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 2),
        ("?", 2),
        ("?match=", 2),
        ("?match=NEWS", 1),
        ("?match=new%73", 1),
        ("?match=none", 0),
        ("?match=%ff", 0),
        ("?match=%00<script>", 0),
        ("?match=" + "x" * 5000, 0),
        ("?other=news", 2),
        ("?" + "&" * 2000 + ";=%", 2),
        ("?match=news&match=none", 1),
    ],
)
def test_queries(serve: Serve, query: str, found: int) -> None:
    """`match` chooses by names; any other query is as good as none."""
    with Http.to(serve()) as client:
        for name in ("news", "orders"):
            client.ask("/topic/add-topic", topicName=name)
        answer = client.exchange(request("GET", "/live" + query))
        assert answer.status == 200
        assert len(answer.json["topics"]) == found


def test_document(serve: Serve) -> None:
    """The document has the bounds of the queue's times, and the clock's kind, beside topics and groups."""
    server = serve(virtual_clock=True, heartbeat_timeout=7, rebalance_timeout=9)
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="news", partitions=1)
        client.ask("/consumer-group/add", consumer_group_name="readers")
        client.ask("/consumer/register-consumer", consumer_group_name="readers", consumer_name="alice")
        client.ask("/consumer/subscribe-topic", consumer_name="alice", topic_list="news")
        client.ask("/clock/advance", seconds=5)
        document = client.get("/live").json
        assert document["virtual_clock"] is True
        assert (document["heartbeat_timeout"], document["rebalance_timeout"]) == (7, 9)
        assert document["groups"][0]["members"][0]["secondsLeft"] == 2
        client.ask("/clock/advance", seconds=2)
        assert client.get("/live").json["groups"][0]["members"] == []


def test_others_get_their_turn(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is free between the pieces: an operation is answered while the document is being made."""
    server = serve()
    between, done = threading.Event(), threading.Event()
    describe = live._describe_group

    def slow(group: live.Group, now: float) -> dict[str, object]:
        between.set()
        return describe(group, now)

    def pause(pieces: object) -> object:
        for piece in read(pieces):
            yield piece
            if between.is_set():
                assert done.wait(10)

    read = server.application.read_in_pieces
    monkeypatch.setattr(live, "_describe_group", slow)
    monkeypatch.setattr(server.application, "read_in_pieces", pause)
    with Http.to(server) as client, Http.to(server) as other:
        for number in range(3):
            client.ask("/consumer-group/add", consumer_group_name=f"g{number}")
        client.send(request("GET", "/live"))
        eventually(between.is_set, "the document is not being made")
        assert other.ask("/consumer-group/add", consumer_group_name="more").status == 200
        done.set()
        assert len(client.answer().json["groups"]) == 3
