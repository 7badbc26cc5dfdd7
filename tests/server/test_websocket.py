"""WebSocket: messages, fragments, control frames, violations, ends of connections."""

from __future__ import annotations

import select
import struct
from typing import TYPE_CHECKING

import pytest

from tests.server.wire import (
    BINARY,
    CLOSE,
    DEADLINE,
    PING,
    PONG,
    TEXT,
    Http,
    Stomp,
    connect,
    eventually,
    frame,
    stomp_frame,
    upgrade,
)

if TYPE_CHECKING:
    from reference_server.server import Server
    from tests.server.conftest import Serve

CONT = 0
CONNECT = stomp_frame("CONNECT", {"accept-version": "1.2", "host": "h"})


def is_unharmed(server: Server) -> None:
    """A bad connection does not affect others."""
    with Stomp.connected(server) as other:
        assert other.fence() == []


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        ("v12.stomp", "v12.stomp"),
        ("v11.stomp", "v11.stomp"),
        ("v10.stomp", "v10.stomp"),
        ("v10.stomp, v11.stomp, v12.stomp", "v12.stomp"),
        ("v10.stomp,v11.stomp", "v11.stomp"),
        ("mqtt, v10.stomp", "v10.stomp"),
        ("mqtt", None),
        (None, None),
    ],
)
def test_subprotocols(server: Server, offered: str | None, selected: str | None) -> None:
    """The highest offered subprotocol, or none, is selected; CONNECT sets the version (STOMP-WS-001, -002, -020)."""
    with Http.to(server) as raw:
        raw.send(upgrade(Sec_WebSocket_Protocol=offered))
        head = raw.take_until(b"\r\n\r\n").decode().lower()
        assert head.startswith("http/1.1 101 ")
        assert (f"sec-websocket-protocol: {selected}" in head) == (selected is not None)
        assert "s3pplmbitxaq9kygzzhzrbk+xoo=" in head
    with Stomp.to(server, Sec_WebSocket_Protocol=offered) as client:
        assert client.connect("1.1")["version"] == "1.1"


@pytest.mark.parametrize(
    "protocols",
    [
        "WebSocket",
        "websocket, h2c",
        "h2c,websocket",
        "h2c\r\nUpgrade: websocket",
        "websocket\r\nUpgrade: h2c",
    ],
)
def test_websocket_among_other_protocols(server: Server, protocols: str) -> None:
    """Upgrade is a list (RFC 9110, section 7.8), and one with WebSocket in it asks for WebSocket."""
    with Stomp.to(server, Upgrade=protocols) as client:
        assert client.connect("1.2")["version"] == "1.2"


@pytest.mark.parametrize("path", ["/stomp", "/producer", "/consumer"])
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_endpoints_and_versions(server: Server, path: str, version: str) -> None:
    """All three endpoints speak all versions (QSTOMP-ENDPOINT-1)."""
    with Stomp.connected(server, version, path) as client:
        client.subscribe("/queue/a")
        client.say("SEND", {"destination": "/queue/a"}, b"m")
        assert client.expect("MESSAGE").body == b"m"
        client.say("DISCONNECT", {"receipt": "bye"})
        assert client.expect("RECEIPT")["receipt-id"] == "bye"
        assert client.closed() == 1000


def test_frames_may_come_with_the_handshake(server: Server) -> None:
    """Octets after the upgrade request are the first ones of the connection."""
    with Stomp(connect(server)) as client:
        client.send(upgrade() + frame(TEXT, CONNECT))
        client.take_until(b"\r\n\r\n")
        assert client.expect("CONNECTED")["version"] == "1.2"


@pytest.mark.parametrize(
    "messages",
    [
        [frame(BINARY, CONNECT)],
        [frame(TEXT, CONNECT[:9]), frame(BINARY, CONNECT[9:])],
        [frame(TEXT, octet) for octet in map(bytes, zip(CONNECT))],
        [frame(TEXT, CONNECT[:9], fin=False), frame(CONT, b"", fin=False), frame(CONT, CONNECT[9:])],
        [frame(TEXT, b""), frame(TEXT, b"\n"), frame(TEXT, b"\r\n" + CONNECT + b"\n")],
    ],
)  # fmt: skip
@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_messages_are_a_stream_of_octets(server: Server, messages: list[bytes], piece: int) -> None:
    """Text and binary, split and joined, in TCP segments of any size (STOMP-WS-003 to -007)."""
    with Stomp.to(server) as client:
        octets = b"".join(messages)
        for at in range(0, len(octets), piece):
            client.send(octets[at : at + piece])
        assert client.message()[1].startswith(b"CONNECTED\n")
        client.version = "1.2"
        assert client.fence() == []


def test_a_ping_between_fragments(server: Server) -> None:
    """A ping between fragments is answered, and the message stays whole; the order of the answers is open."""
    with Stomp.to(server) as client:
        client.send(frame(TEXT, CONNECT[:9], fin=False) + frame(PING, b"p") + frame(CONT, CONNECT[9:]))
        answers = dict([client.message(), client.message()])
        assert answers[PONG] == b"p"
        assert answers[TEXT].startswith(b"CONNECTED\n")


def test_several_frames_in_one_message(server: Server) -> None:
    """Each of several frames is processed, and each answer is a message of its own (STOMP-WS-004, STOMP-WS-009)."""
    with Stomp.to(server) as client:
        frames = [CONNECT, stomp_frame("SUBSCRIBE", {"id": "0", "destination": "/queue/a"})]
        frames += [stomp_frame("SEND", {"destination": "/queue/a"}, b"%d" % number) for number in range(50)]
        client.send(frame(TEXT, b"\n".join(frames)))
        client.version = "1.2"
        client.expect("CONNECTED")
        assert [client.expect("MESSAGE").body for _ in range(50)] == [b"%d" % number for number in range(50)]


@pytest.mark.parametrize("body", [b"text \xc3\xa4", b"\xff\xfe\x00\x01", bytes(range(256))])
def test_text_and_binary_answers(server: Server, body: bytes) -> None:
    """A message is binary if its body is not UTF-8, else text (STOMP-WS-008)."""
    with Stomp.connected(server) as client:
        client.subscribe("/queue/a")
        client.say("SEND", {"destination": "/queue/a", "content-length": str(len(body))}, body)
        opcode, payload = client.message()
        assert payload.endswith(body + b"\0")
        try:
            payload.decode()
        except UnicodeDecodeError:
            assert opcode == BINARY
        else:
            assert opcode == TEXT


@pytest.mark.parametrize("payload", [b"", b"x", b"\xff" * 125])
def test_pings(server: Server, payload: bytes) -> None:
    """A ping is answered by a pong with the same payload (STOMP-WS-021)."""
    with Stomp.connected(server) as client:
        client.send(frame(PING, payload) + frame(PONG, b"unasked"))
        assert client.message() == (PONG, payload)
        assert client.fence() == []


@pytest.mark.parametrize("payload", [struct.pack("!H", 1000), struct.pack("!H", 4321) + b"bye", b""])
def test_a_close_of_the_client(server: Server, payload: bytes) -> None:
    """Close is echoed; the session ends at once, and others get its messages (STOMP-WS-014)."""
    with Stomp.connected(server) as client, Stomp.connected(server) as other:
        client.subscribe("/queue/a", ack="client")
        client.say("SEND", {"destination": "/queue/a"}, b"m")
        client.expect("MESSAGE")
        client.send(frame(CLOSE, payload))
        assert client.message() == (CLOSE, payload)
        assert other.next_of("/queue/a")["redelivered"] == "true"
        assert client.wait_for_end() == b""


def test_a_cut(server: Server) -> None:
    """A cut connection ends its session as well (STOMP-WS-014, STOMP-DISCONNECT-005)."""
    with Stomp.connected(server) as other:
        with Stomp.connected(server) as client:
            client.subscribe("/queue/a", ack="client")
            client.say("SEND", {"destination": "/queue/a"}, b"m")
            client.expect("MESSAGE")
        assert other.next_of("/queue/a").body == b"m"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (frame(TEXT, CONNECT, masked=False), 1002),
        (frame(3, b"x"), 1002),
        (frame(11), 1002),
        (frame(TEXT, b"x", reserved=4), 1002),
        (frame(CONT, b"x"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CLOSE, b"x"), 1002),
        (frame(CLOSE, struct.pack("!H", 1005)), 1002),
        (frame(CLOSE, struct.pack("!H", 999)), 1002),
        (frame(TEXT, b"SEND\nx:\xff\n\n\0"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"x"), 1007),
        (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    ],
    ids=repr,
)
def test_what_breaks_the_rules(server: Server, octets: bytes, code: int) -> None:
    """Violations (no mask, reserved bits and codes, invalid UTF-8) get Close with the right code, and the end."""
    with Stomp.connected(server) as client:
        client.subscribe("/queue/a", ack="client")
        client.say("SEND", {"destination": "/queue/a"}, b"m")
        client.expect("MESSAGE")
        client.send(octets + frame(TEXT, stomp_frame("ACK", {"id": "1"})))
        assert client.closed() == code
    with Stomp.connected(server) as other:
        assert other.next_of("/queue/a").body == b"m"


def test_a_message_over_the_bound(serve: Serve) -> None:
    """A message over the bound gets an ERROR with the reason, and Close 1009 (STOMP-WS-015, STOMP-LIMIT-004)."""
    server = serve(header_bytes=1000, body_bytes=2000)
    for octets in (
        frame(TEXT, b"x" * 100_000),
        frame(TEXT, b"x" * 5000, fin=False) + frame(CONT, b"x" * 5000, fin=False) + frame(CONT, b"x"),
        struct.pack("!BBQ", 0x81, 0xFF, 2**62) + b"mask",
    ):
        with Stomp.connected(server) as client:
            client.send(octets)
            client.expect("ERROR")
            assert client.closed() in {1002, 1009}
    is_unharmed(server)


def test_a_stomp_frame_over_the_bound(serve: Serve) -> None:
    """A frame over the bound gets an ERROR with its receipt-id; one at the bound is served (STOMP-LIMIT-003)."""
    server = serve(body_bytes=2000)
    with Stomp.connected(server) as client:
        client.subscribe("/queue/a")
        client.say("SEND", {"destination": "/queue/a"}, b"x" * 2000)
        assert len(client.expect("MESSAGE").body) == 2000
        client.say("SEND", {"destination": "/queue/a", "receipt": "r"}, b"x" * 2001)
        assert client.refused()["receipt-id"] == "r"


@pytest.mark.parametrize(
    "octets",
    [
        frame(TEXT, b"SEND\ndestination:/queue/a\n"),
        frame(TEXT, b"SEND\ndestination:/queue/a\n\nbody")[:-2],
        frame(TEXT, b"SEND\ndestination:/queue/a\n\nbody\0", fin=False),
        frame(TEXT, b"SEND\ndestination:/queue/a\ncontent-length:9\n\nbody\0"),
        frame(TEXT, b"x" * 30)[:5],
        frame(TEXT, b"x" * 30)[:1],
        frame(TEXT, b"\n") + frame(TEXT, b"x" * 30)[:9],
    ],
)
def test_a_frame_that_never_ends(serve: Serve, octets: bytes) -> None:
    """A frame that never ends gets an ERROR after the allowed time, and the end (STOMP-LIMIT-008)."""
    server = serve(incomplete_frame_timeout=0.2)
    with Stomp.connected(server) as client:
        client.send(octets)
        client.refused()
    is_unharmed(server)


def test_octets_now_and_then_do_not_help(serve: Serve) -> None:
    """The time limit of a frame starts with its first octet."""
    server = serve(incomplete_frame_timeout=0.2)
    with Stomp.connected(server) as client:
        client.send(frame(TEXT, b"SEND\n"))
        for _ in range(1000):
            client.send(frame(TEXT, b"x"))
            if select.select([client.link], [], [], 0.02)[0]:
                client.refused()
                break
        else:
            pytest.fail("the frame is still waited for")


def test_pings_are_no_frame(serve: Serve) -> None:
    """A client that only pings exceeds no time limit of frames."""
    server = serve(incomplete_frame_timeout=0.05)
    with Stomp.connected(server) as client:
        for _ in range(10):
            client.link.settimeout(DEADLINE)
            client.send(frame(PING, b""))
            assert client.message() == (PONG, b"")
            client.link.settimeout(0.03)
            with pytest.raises(TimeoutError):
                client.take(1)
        client.link.settimeout(DEADLINE)
        assert client.fence() == []


@pytest.mark.parametrize("octets", [b"", frame(PING, b""), frame(TEXT, b"\n")])
def test_a_connection_that_sends_no_frame(serve: Serve, octets: bytes) -> None:
    """A connection without a frame gets an ERROR after the declared time, and the end (STOMP-WS-019)."""
    server = serve(first_frame_timeout=1)
    with Stomp.to(server) as client:
        client.send(octets)
        if octets == frame(PING, b""):
            assert client.message() == (PONG, b"")
        assert client.refused()["message"] == "no frame came"
    is_unharmed(server)


def test_a_client_that_does_not_close(serve: Serve) -> None:
    """After its last frame the server waits a limited time for the client to close (STOMP-LINGER-002)."""
    server = serve(linger=0.2)
    with Stomp.connected(server) as client:
        client.say("DISCONNECT", {"receipt": "bye"})
        client.expect("RECEIPT")
        assert client.closed() == 1000
        eventually(lambda: server.listener.connections == 0, "the connection stays open")


def test_the_last_frame_arrives(server: Server) -> None:
    """The last frame arrives even if the client goes on sending: no reset destroys unread octets (STOMP-LINGER-002)."""
    for _ in range(10):
        with Stomp.connected(server) as client:
            client.say("SEND", {"destination": "/nowhere", "receipt": "r"})
            for _ in range(50):
                client.say("SEND", {"destination": "/queue/late"}, b"x" * 20_000)
            assert client.refused()["receipt-id"] == "r"
    with Stomp.connected(server) as client:
        client.subscribe("/queue/late")
        assert client.fence() == [], "frames behind the one that failed were obeyed"


def test_stopping(serve: Serve) -> None:
    """At a stop, sessions get an ERROR, running requests end, and no connection is left (STOMP-ERROR-007)."""
    server = serve()
    with Stomp.connected(server) as client, Http.to(server) as idle, Stomp.to(server) as silent:
        idle.get("/topics")
        server.stop()
        assert client.expect("ERROR")["message"] == "server is stopping"
        assert client.closed() == 1002
        assert idle.wait_for_end() == b""
        assert silent.refused()["message"] == "server is stopping"
        assert server.listener.connections == 0
