"""What a connection had is freed when it ends, and not by the garbage collector, which stops all threads meanwhile."""

from __future__ import annotations

import gc
import socket
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.server.wire import TEXT, Http, Stomp, Wire, connect, eventually, frame, request, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reference_server.server import Server


def answered(server: Server) -> None:
    with Http.to(server) as client:
        client.get("/topics")


def malformed(server: Server) -> None:
    with Wire(connect(server)) as client:
        client.send(b"GET nowhere HTTP/9.9\r\n\r\n")
        client.wait_for_end()


def too_large(server: Server) -> None:
    with Wire(connect(server)) as client:
        client.send(request("GET", "/topics", a="b" * 100_000))
        client.wait_for_end()


def cut_within_a_request(server: Server) -> None:
    with Wire(connect(server)) as client:
        client.send(b"POST /x HTTP/1.1\r\nHos")
        client.link.shutdown(socket.SHUT_WR)
        client.wait_for_end()  # before, the server may not have taken the connection yet


def refused_as_websocket(server: Server) -> None:
    with Wire(connect(server)) as client:
        client.send(upgrade(sec_websocket_version="12"))
        client.wait_for_end()


def subscribed_and_cut(server: Server) -> None:
    with Stomp.connected(server) as client:
        client.subscribe("/queue/a")
        client.say("BEGIN", {"transaction": "t"})
        client.say("SEND", {"destination": "/queue/a", "transaction": "t"}, b"m")
        client.fence()


def disconnected(server: Server) -> None:
    with Stomp.connected(server) as client:
        client.subscribe("/topic/a", ack="client")
        client.say("SEND", {"destination": "/topic/a"}, b"m")
        client.expect("MESSAGE")
        client.say("DISCONNECT", {"receipt": "bye"})
        client.expect("RECEIPT")
        client.closed()


def refused_as_stomp(server: Server) -> None:
    with Stomp.connected(server) as client:
        client.say("SUBSCRIBE")
        client.refused()


def unreadable_as_stomp(server: Server) -> None:
    with Stomp.connected(server) as client:
        client.say("SEND", {"destination": "/queue/a", "content-length": "x"})
        client.refused()


def undefined_escape(server: Server) -> None:
    with Stomp.connected(server) as client:
        client.send(frame(TEXT, b"SEND\ndestination:/queue/a\nx:\\t\n\n\0"))
        client.refused()


KINDS = [
    answered,
    malformed,
    too_large,
    cut_within_a_request,
    refused_as_websocket,
    subscribed_and_cut,
    disconnected,
    refused_as_stomp,
    unreadable_as_stomp,
    undefined_escape,
]


@pytest.fixture
def by_count_alone() -> Iterator[None]:
    """Have objects freed by the count of what refers to them only."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def of_the_server() -> Counter[str]:
    """The objects of the server, and of the libraries that it parses with, by type."""
    own = ("reference_server.", "websockets.", "httptools.")
    return Counter(
        f"{type(thing).__module__}.{type(thing).__name__}"
        for thing in gc.get_objects()
        if str(type(thing).__module__).startswith(own)
    )


@pytest.mark.parametrize("use", KINDS)
def test_a_connection_leaves_nothing_to_be_collected(
    serve: Callable[..., Server], by_count_alone: None, use: Callable[[Server], None]
) -> None:
    server = serve(linger=0.01)
    threads = threading.active_count()

    def use_it() -> None:
        use(server)
        eventually(lambda: server.listener.connections == 0, "the connection is left")
        eventually(lambda: threading.active_count() <= threads, "its thread is left")
        eventually(lambda: not server.application.timer._calls._by_key, "a timer is left")
        server.application.timer.wake_by(0.0)
        eventually(lambda: server.application.timer.due > 0.0, "the timer does not go on")
        server.application._hub._shared.deadlines._heap.clear()  # closed sessions stay there until due

    use_it()  # the first makes what stays, such as destinations
    before = of_the_server()
    for _ in range(5):
        use_it()
    left = of_the_server() - before
    assert not left, left
