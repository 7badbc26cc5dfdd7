"""`reference_server.Server`: settings as keywords, the clock, sessions, frames of clients, cut connections."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
import websocket

from reference_server import Server
from reference_server.config import ConfigError
from reference_server.embedded import KEPT_FRAMES, KEPT_OCTETS
from tests.embedding.clients import Client, Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Connect = Callable[..., Client]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with default settings."""
    with Server() as running:
        yield running


def ask(server: Server, path: str, **members: Any) -> int:
    """Perform an operation over HTTP; returns the status."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        json.dumps(members).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Function that connects a client to a URL; all are closed at the end of the test."""
    clients = []

    def to(url: str, **headers: str) -> Client:
        clients.append(Client(url, **headers))
        return clients[-1]

    yield to
    for client in clients:
        client.close()


# Settings


def test_settings_are_keywords(connect: Connect) -> None:
    with Server(heartbeat_timeout=2, body_bytes=10) as server:
        assert server.settings.heartbeat_timeout == 2.0
        assert server.url == f"ws://127.0.0.1:{server.port}/stomp"
        client = connect(server.url)
        client.send("SEND", "eleven octs", destination="/queue/a")
        assert client.expect("ERROR").headers["message"] == "body too large"


def test_several_servers_run_side_by_side(connect: Connect) -> None:
    with Server() as first, Server() as second:
        assert first.port != second.port
        connect(first.url)
        assert first.received("CONNECT")
        assert second.received() == []


def test_only_users_are_let_in(connect: Connect) -> None:
    with Server(users={"alice": "a:b", "bob": ""}) as server:
        assert connect(server.url, login="alice", passcode="a:b").connected.command == "CONNECTED"
        assert connect(server.url, login="bob", passcode="").connected.command == "CONNECTED"
        with pytest.raises(AssertionError, match="login refused"):
            connect(server.url, login="alice", passcode="b")


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"heartbeat": 2}, TypeError, r"no setting 'heartbeat'.*heartbeat_timeout"),
        ({"heartbeat_timeout": -1}, ConfigError, "heartbeat-timeout: -1 cannot be used"),
        ({"heartbeat_timeout": "soon"}, ConfigError, "'soon' cannot be used"),
        ({"users": {"a:b": "c"}}, ConfigError, "colon"),
        ({"odd": ["headers-in-any-order"]}, ConfigError, "Expected headers-come-in-any-order"),
        ({"odd": ["zzz"]}, ConfigError, "list-odd"),
        ({"users": ["a:b"]}, TypeError, "passcodes by login.*found list"),
    ],
)
def test_wrong_settings_name_the_right_ones(
    settings: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        Server(**settings)


def test_a_port_that_is_taken() -> None:
    with Server() as server, pytest.raises(OSError, match=rf"{server.port}.*in use.*free ones") as raised:
        Server(port=server.port)
    assert raised.value.errno == errno.EADDRINUSE


def test_a_server_is_started_once(connect: Connect) -> None:
    server = Server()
    with server:
        with pytest.raises(RuntimeError, match="Make another one"):
            server.start()
        assert connect(server.url).connected.command == "CONNECTED"
    with pytest.raises(RuntimeError, match="Make another one"):
        server.start()


def test_no_thread_is_left(connect: Connect) -> None:
    before = set(threading.enumerate())
    with Server() as server:
        client = connect(server.url)
    client.expect("ERROR")
    client.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert set(threading.enumerate()) <= before


def test_the_package_imports_nothing_until_the_server_is_used() -> None:
    program = """
import sys
before = set(sys.modules)
import reference_server
print((set(sys.modules) - before) & {"msgspec", "websockets", "reference_server.server"})
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == "set()"


def test_an_unknown_name_of_the_package_is_no_attribute() -> None:
    import reference_server

    with pytest.raises(AttributeError, match="Broker"):
        reference_server.Broker  # noqa: B018


# The clock


def test_the_clock_is_moved_by_the_test() -> None:
    with Server(virtual_clock=True, heartbeat_timeout=30, eviction_grace=1) as server:
        ask(server, "/consumer-group/add", consumer_group_name="g")
        ask(server, "/consumer/register-consumer", consumer_group_name="g", consumer_name="c")
        assert server.advance(29) == 29.0
        assert ask(server, "/consumer/heartbeat", consumer_name="c") == 202
        assert server.advance(31.5) == 60.5
        assert ask(server, "/consumer/heartbeat", consumer_name="c") == 404


def test_the_clock_of_one_group_is_moved() -> None:
    with Server(virtual_clock=True) as server:
        for name in ("early", "late"):
            ask(server, "/consumer-group/add", consumer_group_name=name)
            ask(server, "/consumer/register-consumer", consumer_group_name=name, consumer_name=f"of-{name}")
        assert server.advance(100, group="early") == 100.0
        assert ask(server, "/consumer/heartbeat", consumer_name="of-early") == 404
        assert ask(server, "/consumer/heartbeat", consumer_name="of-late") == 202


def test_a_clock_that_cannot_be_moved_says_why(server: Server) -> None:
    with pytest.raises(RuntimeError, match="virtual_clock=True"):
        server.advance(1)
    with Server(virtual_clock=True) as with_clock:
        for seconds in (-1, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="seconds"):
                with_clock.advance(seconds)
        with pytest.raises(ValueError, match="no consumer group 'missing'"):
            with_clock.advance(1, group="missing")
        assert with_clock.advance(0) == 0.0


# Clients


def test_sessions_are_told_with_their_subscriptions(server: Server, connect: Connect) -> None:
    assert server.sessions() == []
    first, second = connect(server.url), connect(server.url)
    first.send("SUBSCRIBE", id="a", destination="/queue/q", receipt="r")
    first.expect("RECEIPT")
    told = server.sessions()
    assert [session.name for session in told] == [
        first.connected.headers["session"],
        second.connected.headers["session"],
    ]
    assert [session.subscriptions for session in told] == [{"a": "/queue/q"}, {}]
    assert {session.version for session in told} == {"1.2"}
    first.send("DISCONNECT", receipt="bye")
    first.expect("RECEIPT")
    assert server.sessions() == told[1:]


def test_a_connection_before_its_connect_is_no_session(server: Server) -> None:
    link = websocket.create_connection(server.url, timeout=10)
    assert server.sessions() == []
    link.close()


def test_frames_are_kept_in_order(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    client.send("SEND", "one", destination="/queue/q", x="a:b")
    client.send("SEND", "two", destination="/queue/q", receipt="r")
    client.expect("RECEIPT")
    frames = server.received()
    assert [frame.command for frame in frames] == ["CONNECT", "SEND", "SEND"]
    assert [frame.body for frame in server.received("SEND")] == [b"one", b"two"]
    assert frames[1].headers == {"destination": "/queue/q", "x": "a:b"}
    assert {frame.session for frame in frames} == {client.connected.headers["session"]}
    frames[1].headers.clear()


def test_frames_that_are_kept_are_bounded(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    for number in range(KEPT_FRAMES + 5):
        client.send("SEND", str(number), destination="/topic/t")
    client.send("SEND", "last", destination="/topic/t", receipt="r")
    client.expect("RECEIPT")
    kept = server.received()
    assert len(kept) == KEPT_FRAMES
    assert [frame.body for frame in kept[-2:]] == [str(KEPT_FRAMES + 4).encode(), b"last"]
    large = "x" * (1024 * 1024)
    for number in range(KEPT_OCTETS // len(large) + 3):
        client.send("SEND", large, destination="/topic/t", receipt=str(number))
        client.expect("RECEIPT")
    assert sum(len(frame.body) for frame in server.received()) == KEPT_OCTETS


def test_a_test_waits_for_frames(server: Server, connect: Connect) -> None:
    client = connect(server.url)
    later = threading.Timer(0.05, lambda: client.send("SEND", "late", destination="/topic/t"))
    later.start()
    [frame] = server.wait_for("SEND")
    assert frame.body == b"late"
    later.join()
    with pytest.raises(TimeoutError, match=r"expected 2 of SEND within 0.1 s; received CONNECT, SEND"):
        server.wait_for("SEND", count=2, timeout=0.1)


def test_a_page_of_any_origin_may_be_let_in() -> None:
    """A client in a browser names the origin of its page."""
    page = "http://localhost:3000"
    with Server() as strict, pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(strict.url, timeout=10, origin=page)
    with Server(allow_origin=["*"]) as open_to_all:
        websocket.create_connection(open_to_all.url, timeout=10, origin=page).close()


def test_errors_are_told(server: Server, connect: Connect) -> None:
    """Also that of a client which never reads it."""
    assert server.errors() == []
    client, other = connect(server.url), connect(server.url)
    client.send("SEND", "größe", destination="/nowhere/größe", receipt="r")
    text = client.expect("ERROR").headers["message"]
    [error] = server.errors()
    assert error.startswith("ERROR\n")
    assert text in error
    assert "receipt-id:r\n" in error
    assert "/nowhere/größe" in error
    other.send("ACK", id="unknown")
    other.expect("ERROR")
    assert len(server.errors()) == 2


@pytest.mark.parametrize("by_name", [True, False])
def test_a_connection_is_cut(server: Server, by_name: bool, connect: Connect) -> None:
    """The client sees the end of TCP, and others get what it had not acknowledged."""
    client, other = connect(server.url), connect(server.url)
    client.send("SUBSCRIBE", id="1", destination="/queue/q", ack="client", receipt="r")
    client.expect("RECEIPT")
    client.send("SEND", "again", destination="/queue/q")
    client.expect("MESSAGE")
    session = server.sessions()[0]
    server.cut(session.name if by_name else session)
    assert [each.name for each in server.sessions()] == [other.connected.headers["session"]]
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        client.next()
    other.send("SUBSCRIBE", id="1", destination="/queue/q")
    assert other.expect("MESSAGE").body == b"again"
    with pytest.raises(
        ValueError, match=f"no session {session.name!r}.*Connected are: {other.connected.headers['session']}"
    ):
        server.cut(session)


def test_a_frame_of_the_client_is_told_as_it_was_sent(connect: Connect) -> None:
    """An oddity that edits ids shows the ids of the client."""
    with Server(odd=["ids-are-odd-strings"]) as server:
        client = connect(server.url)
        client.send("SUBSCRIBE", id="1", destination="/queue/q", ack="client")
        client.send("SEND", "x", destination="/queue/q")
        message: Frame = client.expect("MESSAGE")
        client.send("ACK", id=message.headers["ack"], receipt="r")
        client.expect("RECEIPT")
        assert server.received("ACK")[0].headers["id"] == message.headers["ack"]
