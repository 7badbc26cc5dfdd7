"""Mistakes that clients make often: the ERROR says what is wrong and what to do instead."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from tests.server.wire import BINARY, CLOSE, DEADLINE, PING, PONG, TEXT, Http, Stomp, Wire, frame, stomp_frame

if TYPE_CHECKING:
    from reference_server.server import Server
    from tests.server.conftest import Serve

CONNECT = stomp_frame("CONNECT", {"accept-version": "1.2", "host": "x"})


@pytest.mark.parametrize("path", ["/stomp", "/producer"])
@pytest.mark.parametrize("octets", [CONNECT[:-1], CONNECT[:-2], CONNECT.replace(b"\n", b"\r\n")[:-1]])
def test_a_connect_without_its_nul(serve: Serve, path: str, octets: bytes) -> None:
    """Some mobile WebSocket libraries cut the NUL off: the ERROR at the deadline says so."""
    server = serve(first_frame_timeout=0.3)
    with Stomp.to(server, path) as client:
        client.send(frame(TEXT, octets))
        assert "NUL" in client.refused().body.decode()


def test_a_send_without_its_nul(serve: Serve) -> None:
    """The same in the middle of a session; a silent client is not told so."""
    with Stomp.connected(serve(incomplete_frame_timeout=0.3)) as client:
        client.send(frame(TEXT, stomp_frame("SEND", {"destination": "/queue/a"}, b"x")[:-1]))
        assert "NUL" in client.refused().body.decode()
    with Stomp.to(serve(first_frame_timeout=0.3)) as client:
        assert "NUL" not in client.refused().body.decode()


@pytest.mark.parametrize("path", ["/stomp", "/consumer"])
@pytest.mark.parametrize("text", [CONNECT.decode(), "\n"])
@pytest.mark.parametrize("parts", [1, 3])
def test_sockjs_framing(server: Server, path: str, text: str, parts: int) -> None:
    """Frames in a JSON array come from a SockJS client: the ERROR at once says that this URL is a plain one."""
    octets = json.dumps([text]).encode()
    with Stomp.to(server, path) as client:
        for position in range(parts):
            part = octets[position * len(octets) // parts : (position + 1) * len(octets) // parts]
            client.send(frame(TEXT, part))
        error = client.refused()
        assert error["message"] == "SockJS framing"
        assert b"plain WebSocket" in error.body


@pytest.mark.parametrize("path", ["/stomp/info", "/stomp/012/a1b2c3/websocket", "/stomp/0/x/xhr_streaming"])
def test_paths_of_sockjs(server: Server, path: str) -> None:
    """A SockJS client asks below its URL: the refusal names the URL of a plain WebSocket."""
    with Http.to(server) as client:
        assert "plain WebSocket to /stomp." in client.get(path).json["detail"]
        assert "SockJS" not in client.get("/stomp/other").json["detail"]


@pytest.mark.parametrize("text", ['["SEND\\n"]', '[ "', '[\n"CONNECT'])
def test_sockjs_framing_later(server: Server, text: str) -> None:
    """The same after CONNECT, and with blanks."""
    with Stomp.connected(server) as client:
        client.send(frame(TEXT, text.encode()))
        assert client.refused()["message"] == "SockJS framing"


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP in place of STOMP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS in place of STOMP"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + CONNECT, "PROXY protocol"),
        (b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\x7f\0\0\1\x7f\0\0\1\xff\xff\0\1" + CONNECT, "PROXY protocol"),
    ],
)
def test_other_protocols_at_a_port_of_stomp(serve: Serve, octets: bytes, message: str) -> None:
    """The ERROR names what came, at once, and what to do."""
    server = serve(stomp_port=0)
    assert server.stomp_port
    with Wire(socket.create_connection(("127.0.0.1", server.stomp_port), DEADLINE)) as client:
        client.send(octets)
        assert client.wait_for_end().startswith(f"ERROR\nmessage:{message}".encode())


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (CONNECT, "--stomp-port"),
        (b"STOMP\r\naccept-version:1.2\r\n\r\n\0", "--stomp-port"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "without TLS"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n", "load balancer"),
    ],
)
def test_other_protocols_at_a_port_of_http(server: Server, octets: bytes, said: str) -> None:
    """The refusal says which port, or which setting, is right."""
    with Http.to(server) as client:
        answer = client.exchange(octets)
        assert answer.status == 400
        assert said in answer.json["detail"]


def deliver(server: Server, version: str, queue: str = "/queue/a") -> tuple[Stomp, dict[str, str]]:
    """Open a session with two subscriptions, of which one was sent a message; returns the headers of that."""
    client = Stomp.connected(server, version)
    client.subscribe(queue, "a", ack="client")
    client.subscribe("/queue/b", "b", ack="client")
    client.say("SEND", {"destination": queue}, b"x")
    return client, client.expect("MESSAGE").headers


@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_a_message_id_for_an_ack_id(server: Server, command: str) -> None:
    """STOMP 1.2 names a message by its ack header, as the ERROR says to those that send the message-id."""
    client, headers = deliver(server, "1.2")
    with client:
        client.say(command, {"id": headers["message-id"]})
        body = client.refused().body.decode()
        assert "message-id" in body
        assert "ack header" in body


@pytest.mark.parametrize("command", ["ACK", "NACK"])
@pytest.mark.parametrize("named", ["b", "none"])
def test_the_subscription_of_another_message(server: Server, command: str, named: str) -> None:
    """In STOMP 1.1 the right message-id with another subscription gets another answer than an unknown message."""
    client, headers = deliver(server, "1.1")
    with client:
        client.say(command, {"message-id": headers["message-id"], "subscription": named})
        assert "another subscription" in client.refused().body.decode()
    client, headers = deliver(server, "1.1", "/queue/other")
    with client:
        client.say(command, {"message-id": "999999", "subscription": named})
        assert "names no message" in client.refused().body.decode()


def test_a_client_of_binary_messages(server: Server) -> None:
    """A client that begins in a binary message, and may read nothing else, gets binary ones, heart-beats included."""
    with Stomp.to(server) as client:
        client.send(
            frame(
                BINARY, stomp_frame("CONNECT", {"accept-version": "1.2", "host": "x", "heart-beat": "0,100"})
            )
        )
        kinds = [client.message() for _ in range(3)]
        assert [kind for kind, _ in kinds] == [BINARY] * 3
        assert kinds[1][1] == b"\n"
    with Stomp.to(server) as client:
        client.send(frame(TEXT, CONNECT))
        assert client.message()[0] == TEXT
        client.send(frame(BINARY, stomp_frame("BEGIN", {"transaction": "t", "receipt": "r"})))
        assert client.message()[0] == TEXT


@pytest.mark.parametrize("kind", [TEXT, BINARY])
def test_a_close_between_fragments(server: Server, kind: int) -> None:
    """Control frames may come between fragments: a Close there is answered, and the message has no effect."""
    send = stomp_frame("SEND", {"destination": "/queue/cut"}, b"x")
    with Stomp.connected(server) as client:
        client.send(frame(kind, send[:9], fin=False) + frame(PING, b"p") + frame(0, send[9:], fin=False))
        assert client.message() == (PONG, b"p")
        client.send(frame(CLOSE, (1000).to_bytes(2, "big")) + frame(0, b""))
        assert client.closed() == 1000
    with Stomp.connected(server) as client:
        client.subscribe("/queue/cut")
        assert client.fence() == []


@pytest.mark.parametrize("name", ["DLQ", "a.b", "queue/x", "/other", "/queues", "é"])
def test_bare_names(serve: Serve, name: str) -> None:
    """--bare-queues serves destinations without a prefix as queues; they are unknown otherwise."""
    with Stomp.connected(serve()) as client:
        client.say("SEND", {"destination": name}, b"x")
        assert client.refused()["message"] == "unknown destination"
    server = serve(bare_queues=True)
    with Stomp.connected(server) as client, Stomp.connected(server) as other:
        client.say("BEGIN", {"transaction": "t"})
        client.say("SEND", {"destination": name, "transaction": "t"}, b"first")
        client.say("COMMIT", {"transaction": "t"})
        client.say("SEND", {"destination": name, "receipt": "r"}, b"second")
        client.expect("RECEIPT")
        for wanted in (b"first", b"second"):
            client.say("SUBSCRIBE", {"id": "1", "destination": name, "ack": "client"})
            message = client.expect("MESSAGE")
            assert (message["destination"], message.body) == (name, wanted)
            client.say("ACK", {"id": message["ack"]})
            client.say("UNSUBSCRIBE", {"id": "1"})
            client.fence()
        other.subscribe("/topic/t")
        other.say("SEND", {"destination": "/topic/t"}, b"all")
        assert other.expect("MESSAGE").body == b"all"
        client.say("SEND", {"destination": ""}, b"x")
        assert client.refused()["message"] == "unknown destination"
