"""Many connections, too many, and complete release of closed ones."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reference_server.config import Settings
from reference_server.server import Server
from reference_server.server.threads import IDLE_AT_MOST
from tests.server.wire import Http, Stomp, Wire, connect, eventually, request

if TYPE_CHECKING:
    from tests.server.conftest import Serve

DESCRIPTORS = Path("/proc/self/fd")


def descriptors() -> int:
    """Number of open descriptors; 0 if the system does not tell."""
    return sum(1 for _ in DESCRIPTORS.iterdir()) if DESCRIPTORS.exists() else 0


def test_two_hundred_connections(serve: Serve) -> None:
    """After connections with a subscription and a message each, no descriptor or state is left, and few threads."""
    server = serve()
    gc.collect()
    threads, files = threading.active_count(), descriptors()
    for _ in range(2):
        clients = [Stomp.connected(server) for _ in range(200)]
        for number, client in enumerate(clients):
            client.say("SUBSCRIBE", {"id": "0", "destination": f"/queue/q{number % 50}"})
            client.say("SUBSCRIBE", {"id": "1", "destination": "/topic/all", "receipt": "r"})
        for client in clients:
            client.expect("RECEIPT")
        clients[0].say("SEND", {"destination": "/topic/all"}, b"m")
        for client in clients:
            assert client.expect("MESSAGE").body == b"m"
        assert server.listener.connections == 200
        for number, client in enumerate(clients):
            if number % 3 == 0:
                client.say("DISCONNECT", {"receipt": "bye"})
                client.expect("RECEIPT")
                client.closed()
            client.link.close()
        eventually(lambda: server.listener.connections == 0, "connections are left")
        eventually(lambda: threading.active_count() <= threads + IDLE_AT_MOST, "threads are left")
        eventually(lambda: descriptors() <= files, "descriptors are left")
    hub, application = server.application._hub, server.application
    assert application._peers == {}
    assert hub.deadlines._by_key == {}
    assert hub.router.destinations._queues == {}
    assert hub.router.destinations._topics == {}


def test_http_connections_leave_nothing(serve: Serve) -> None:
    """HTTP connections that were served, cut or silent leave nothing."""
    server = serve()
    threads, files = threading.active_count(), descriptors()
    for number in range(60):
        with Wire(connect(server)) as client:
            if number % 3:
                client.send(request("GET", "/topics") if number % 2 else b"POST /x HTTP/1.1\r\nHos")
            if number % 3 == 1 and number % 2:
                client.take_until(b"}")
    eventually(lambda: server.listener.connections == 0, "connections are left")
    eventually(lambda: threading.active_count() <= threads + IDLE_AT_MOST, "threads are left")
    eventually(lambda: descriptors() <= files, "descriptors are left")


def test_one_too_many(serve: Serve) -> None:
    """A connection too many gets 503 and is closed, and open ones go on (LIMIT-CONN-1)."""
    server = serve(connections=2, linger=0.2)
    with Stomp.connected(server) as first, Http.to(server) as second:
        second.get("/topics")
        for _ in range(100):
            with Http.to(server) as third:
                answer = third.answer()
                assert (answer.status, answer.cause) == (503, "too-many-connections")
                assert third.wait_for_end() == b""
        assert first.fence() == []
        assert second.get("/topics").status == 200
    eventually(lambda: server.listener.connections == 0, "connections are left")
    with Http.to(server) as later:
        assert later.get("/topics").status == 200
    eventually(lambda: not server.listener._refused, "refused connections are left")


def test_subscriptions_over_the_bound(serve: Serve) -> None:
    """A subscription too many gets ERROR (STOMP-LIMIT-005); each connection has a bound of its own."""
    server = serve(subscriptions=5)
    with Stomp.connected(server) as client, Stomp.connected(server) as other:
        for number in range(5):
            client.subscribe("/queue/q", str(number))
        other.subscribe("/queue/q")
        client.say("SUBSCRIBE", {"id": "5", "destination": "/queue/q"})
        assert client.refused()["message"] == "too many subscriptions"
        assert other.fence() == []


def test_starting_and_stopping(serve: Serve) -> None:
    """A server without any connection stops; its port is free at once."""
    server = serve()
    port = server.port
    with pytest.raises(OSError, match="in use"):
        Server(Settings(port=port))
    server.stop()
    with Server(Settings(port=port)) as again, Http.to(again) as client:
        assert client.get("/topics").status == 200


def test_ipv6() -> None:
    """A server with an IPv6 host listens on IPv6."""
    try:
        server = Server(Settings(host="::1", port=0))
    except OSError:
        pytest.skip("there is no IPv6 here")
    assert server.url == f"ws://[::1]:{server.port}/stomp"
    server.stop()


def test_concurrent_producers_and_consumers(serve: Serve) -> None:
    """Many threads at once: every record is delivered once, in order of its partition."""
    server = serve()
    with Http.to(server) as setup:
        setup.ask("/topic/add-topic", topicName="news", partitions=4)
        setup.ask("/consumer-group/add", consumer_group_name="g")
    got: list[tuple[int, int, str]] = []
    failures: list[BaseException] = []

    def produce(name: str) -> None:
        with Http.to(server) as client:
            for number in range(100):
                assert (
                    client.ask("/publish/news", messageID=name, message=f"{name}-{number}", key=name).status
                    == 200
                )

    def consume(name: str) -> None:
        me = {"consumer_name": name}
        with Http.to(server) as client:
            client.ask("/consumer/register-consumer", consumer_group_name="g", **me)
            client.ask("/consumer/subscribe-topic", topic_list="news", **me)
            while len(got) < 400:
                answer = client.ask("/consumer/poll", wait_seconds=0.2, **me)
                if answer.status != 200:
                    continue
                record = answer.json
                got.append((record["partition"], record["offset"], record["message"]["message"]))
                accepted = client.ask("/consumer/acknowledgement", message_id=record["messageId"], **me)
                assert accepted.status == 202

    def guarded(work: object, name: str) -> None:
        try:
            work(name)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001  asserted below, in the thread of the test
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(produce, f"p{n}")) for n in range(4)]
    threads += [threading.Thread(target=guarded, args=(consume, f"c{n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert len(got) == len(set(got)) == 400
    for partition in range(4):
        offsets = [offset for where, offset, _ in got if where == partition]
        assert offsets == sorted(offsets)
