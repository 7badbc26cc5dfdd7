"""STOMP over TCP: the port of `--stomp-port`, with the sessions, limits and queue of the other one."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trustme

from reference_server.config import Settings
from reference_server.server import Server
from tests.server.wire import DEADLINE, Http, Stomp, Wire, eventually, stomp_frame
from tests.stomp.peers import Received, read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.conftest import Serve

CONNECT = stomp_frame("CONNECT", {"accept-version": "1.2", "host": "localhost"})
FENCE = stomp_frame("BEGIN", {"transaction": "f"}) + stomp_frame(
    "ABORT", {"transaction": "f", "receipt": "fence"}
)


class Session(Wire):
    """A session of STOMP 1.2 over TCP."""

    @classmethod
    def to(cls, server: Server, context: ssl.SSLContext | None = None) -> Session:
        """Open a connection."""
        assert server.stomp_url is not None
        link = socket.create_connection(
            ("127.0.0.1", int(server.stomp_url.rpartition(":")[2])), timeout=DEADLINE
        )
        return cls(link if context is None else context.wrap_socket(link, server_hostname="localhost"))

    @classmethod
    def connected(cls, server: Server) -> Session:
        """Open a session."""
        session = cls.to(server)
        session.send(CONNECT)
        assert session.receive().command == "CONNECTED"
        return session

    def receive(self) -> Received:
        """Read the next frame."""
        octets = self.take_until(b"\0")
        return read(octets.lstrip(b"\n"), "1.2")


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(stomp_port=0)


def test_it_is_off_by_default(serve: Serve) -> None:
    assert serve().stomp_url is None


def test_octets_one_by_one_and_all_at_once(server: Server) -> None:
    """Segments mean nothing."""
    frames = (
        CONNECT
        + stomp_frame("SUBSCRIBE", {"id": "0", "destination": "/topic/a"})
        + stomp_frame("SEND", {"destination": "/topic/a", "content-length": "3"}, b"a\0b")
        + b"\r\n\n"
        + FENCE
    )
    for parts in ([frames], [frames[at : at + 1] for at in range(len(frames))]):
        with Session.to(server) as session:
            for part in parts:
                session.send(part)
            assert session.receive().command == "CONNECTED"
            octets = session.take_until(b"a\0b\0")
            assert octets.startswith(b"MESSAGE\n")
            assert session.receive()["receipt-id"] == "fence"


def test_a_session_spans_both_transports(server: Server) -> None:
    """A message crosses from WebSocket to TCP and back."""
    with Session.connected(server) as plain, Stomp.connected(server) as other:
        plain.send(stomp_frame("SUBSCRIBE", {"id": "0", "destination": "/topic/a", "receipt": "s"}))
        assert plain.receive()["receipt-id"] == "s"
        other.say("SEND", {"destination": "/topic/a"}, b"hello")
        assert plain.receive().body == b"hello"


def test_the_queue_works(server: Server) -> None:
    """Operations get their replies, and their records are seen over HTTP."""
    with Session.connected(server) as plain, Http.to(server) as http:
        plain.send(stomp_frame("SUBSCRIBE", {"id": "0", "destination": "/user/queue/replies"}))
        headers = {"destination": "/topic/add-topic", "correlation-id": "1"}
        plain.send(stomp_frame("SEND", headers, json.dumps({"topicName": "news"}).encode()))
        assert plain.receive()["status"] == "200"
        assert http.ask("/topic/add-topic", topicName="news").status == 409


def test_nothing_is_obeyed_before_connect(server: Server) -> None:
    """The port is as strict as /stomp."""
    with Session.to(server) as plain:
        plain.send(stomp_frame("SEND", {"destination": "/topic/a"}))
        assert plain.receive().command == "ERROR"
        assert plain.wait_for_end() == b""


def test_a_half_closed_connection_gets_its_answers(server: Server) -> None:
    """Frames before the client's end are processed and answered, then the server ends its side too."""
    with Session.connected(server) as plain:
        plain.send(FENCE)
        plain.link.shutdown(socket.SHUT_WR)
        assert plain.receive()["receipt-id"] == "fence"
        assert plain.wait_for_end() == b""
    eventually(lambda: server.listener.connections == 0, "the connection is still counted")


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n\0" + CONNECT + FENCE,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    ],
    ids=["http", "frames in http", "tls"],
)
def test_octets_of_something_else(serve: Serve, octets: bytes) -> None:
    """They end the connection, and no frame is read out of them."""
    server = serve(stomp_port=0, first_frame_timeout=0.5)
    with Session.to(server) as plain:
        plain.send(octets)
        answer = plain.wait_for_end()
        assert b"CONNECTED\n" not in answer
        assert b"RECEIPT\n" not in answer


def test_both_ports_share_the_limit_of_connections(serve: Serve) -> None:
    """One connection too many gets an ERROR, whichever port the others are on."""
    server = serve(stomp_port=0, connections=2)
    with Http.to(server) as http, Session.connected(server):
        assert http.get("/capabilities").status == 200
        with Session.to(server) as third:
            assert third.receive()["message"] == "too many connections"
            assert third.wait_for_end() == b""


def test_a_slow_reader_is_cut_off(serve: Serve) -> None:
    """The bound of waiting output holds, and others are not kept waiting."""
    server = serve(stomp_port=0, outbox_bytes=100_000, output_window=50_000, linger=0.1)
    with Session.connected(server) as slow, Session.connected(server) as sender:
        slow.send(stomp_frame("SUBSCRIBE", {"id": "0", "destination": "/topic/a", "receipt": "s"}))
        assert slow.receive()["receipt-id"] == "s"
        body = b"x" * 50_000
        for number in range(400):
            headers = {"destination": "/topic/a", "receipt": str(number)}
            sender.send(stomp_frame("SEND", headers, body))
            assert sender.receive()["receipt-id"] == str(number)
        eventually(lambda: server.listener.connections == 1, "the slow reader is still there")


def test_the_end_of_the_server_is_told(serve: Serve) -> None:
    """A session gets an ERROR when the server stops."""
    with Server(Settings(port=0, stomp_port=0)) as server:
        plain = Session.connected(server)
    with plain:
        assert plain.receive()["message"] == "server is stopping"
        assert plain.wait_for_end() == b""


def test_tls(serve: Serve, tmp_path: Path) -> None:
    """With a certificate, the port speaks TLS as the other one does."""
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    server = serve(stomp_port=0, tls_cert=str(tmp_path / "server.pem"))
    assert server.stomp_url is not None
    assert server.stomp_url.startswith("stomps://")
    with Session.to(server, context) as plain:
        plain.send(CONNECT + FENCE)
        assert plain.receive().command == "CONNECTED"
        assert plain.receive()["receipt-id"] == "fence"


def test_a_taken_port_is_named(server: Server) -> None:
    """The server ends with status 2, and leaves nothing behind."""
    assert server.stomp_url is not None
    port = server.stomp_url.rpartition(":")[2]
    command = [sys.executable, "-m", "reference_server", "--port", "0", "--stomp-port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert ended.returncode == 2
    assert f"127.0.0.1:{port} is in use" in ended.stderr
    assert "--stomp-port" in ended.stderr


def test_capabilities_declare_it(serve: Serve) -> None:
    """The class is declared exactly where the port is open."""
    for settings, expected in (({}, False), ({"stomp_port": 0}, True)):
        with Http.to(serve(**settings)) as http:
            assert ("tcp" in http.get("/capabilities").json["classes"]) is expected
