"""Work of many steps gives way to others: the server answers, and ends, while somebody causes much of it."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.server.test_command_line import Running, ended, running
from tests.server.wire import DEADLINE, Ended, Http, Stomp, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPICS = 1000
MEMBERS = [f"c{number}" for number in range(20)]
MANY = 1000
BUSY = 200


@contextlib.contextmanager
def memberships(*options: str) -> Iterator[tuple[Running, Http]]:
    """Run a server with 20,000 memberships, which expire 3 s after their last sign of life, and a client of it."""
    names = [f"t{number}" for number in range(TOPICS)]
    options = ("--port", "0", "--heartbeat-timeout", "3", "--partitions", "1", *options)
    with running(*options) as server, Http.to(server) as client:
        for name in names:
            client.ask("/topic/add-topic", topicName=name)
        client.ask("/consumer-group/add", consumer_group_name="g")
        for number, name in enumerate(MEMBERS):
            client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name=name)
            client.ask("/consumer/subscribe-topic", consumer_name=name, topic_list=",".join(names))
            keep_alive(client, number)
        yield server, client


def keep_alive(client: Http, members: int = len(MEMBERS)) -> None:
    for name in MEMBERS[:members]:
        assert client.ask("/consumer/heartbeat", consumer_name=name).status == 202


def metric(client: Http, name: str) -> float:
    found = re.search(rf"^stompliance_{name} (\S+)$", client.get("/metrics").body.decode(), re.MULTILINE)
    assert found
    return float(found[1])


def test_while_many_members_are_evicted() -> None:
    """Clients are served while 20,000 memberships expire, and SIGTERM then ends the server within a second."""
    with memberships() as (server, client):
        quiet_since = time.monotonic()
        slowest = 0.0
        while time.monotonic() < quiet_since + 3.2:
            began = time.monotonic()
            assert client.ask("/topic/add-topic", topicName="t0").status == 409
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 0.5
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert ended(server.process) == (0, "")
        assert time.monotonic() - began < DEADLINE / 10


def work(client: Stomp) -> None:
    """Send messages and read their receipts until the server ends the connection."""
    with client, contextlib.suppress(Ended, OSError):
        while True:
            for _ in range(10):
                client.say("SEND", {"destination": "/topic/busy", "receipt": "r"}, b"x" * 100)
            for _ in range(10):
                client.receive()


def test_sigterm_while_all_are_busy() -> None:
    """SIGTERM ends a server within a second while 200 connections send all the time and 20,000 memberships expire."""
    with memberships() as (server, client):
        clients = [Stomp.connected(server) for _ in range(BUSY)]
        keep_alive(client)
        threads = [threading.Thread(target=work, args=(each,)) for each in clients]
        for thread in threads:
            thread.start()
        eventually(lambda: metric(client, "evictions_total") > 0, "no member is evicted")
        assert metric(client, "open_connections") == BUSY + 1
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert ended(server.process) == (0, "")
        assert time.monotonic() - began < DEADLINE / 5  # One second; the clients take the processor as well.
        for thread in threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()


def test_a_thousand_connections() -> None:
    """As many connections as are allowed are served, one more is refused, and their end makes room for others."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MANY + 200:
        pytest.skip(f"this machine allows {hard} open files; the test needs {MANY + 200}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with running("--port", "0", "--connections", str(MANY)) as server:
        with contextlib.ExitStack() as stack:
            over_http = [stack.enter_context(Http.to(server)) for _ in range(MANY // 2)]
            over_stomp = [stack.enter_context(Stomp.connected(server)) for _ in range(MANY // 2)]
            for each in over_stomp:
                each.subscribe("/topic/all")
            with Http.to(server) as refused:
                assert refused.answer().cause == "too-many-connections"
            for http in over_http:
                assert http.get("/health").status == 200
            over_stomp[0].say("SEND", {"destination": "/topic/all"}, b"to each")
            assert all(each.expect("MESSAGE").body == b"to each" for each in over_stomp)
            assert metric(over_http[0], "open_connections") == MANY
            assert metric(over_http[0], r'sessions{version="1\.2"}') == MANY // 2
        with Http.to(server) as later:
            eventually(lambda: metric(later, "open_connections") == 1, "closed connections count on")
        server.process.send_signal(signal.SIGTERM)
        assert ended(server.process) == (0, "")
