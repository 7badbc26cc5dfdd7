"""The same server through TLS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from reference_server.config import ConfigError, Settings
from reference_server.server import Server
from tests.server.wire import TEXT, Http, Stomp, connect, eventually, frame, request, stomp_frame

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.conftest import Serve


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def pem(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
    return path


@pytest.fixture
def server(serve: Serve, pem: Path) -> Server:
    return serve(tls_cert=str(pem))


def test_both_bindings(server: Server, context: ssl.SSLContext) -> None:
    """HTTP and STOMP work over TLS, large bodies included."""
    assert server.url.startswith("wss://")
    with Http.to(server, context) as client, Stomp.to(server, context=context) as session:
        assert client.ask("/topic/add-topic", topicName="news").status == 200
        session.connect()
        session.subscribe("/queue/q")
        for body in (b"m", b"x" * 1_000_000):
            session.say("SEND", {"destination": "/queue/q"}, body)
            assert session.expect("MESSAGE").body == body
        session.say("DISCONNECT", {"receipt": "bye"})
        assert session.expect("RECEIPT")["receipt-id"] == "bye"
        assert session.closed() == 1000


def test_the_end_is_told(server: Server, context: ssl.SSLContext) -> None:
    """The server ends TLS with close_notify, so that clients detect no truncation."""
    for octets in (
        request("GET", "/topics", Connection="close"),
        request("GET", "/nothing", Connection="close"),
    ):
        link = connect(server, context=context)
        link.suppress_ragged_eofs = False  # type: ignore[attr-defined]
        with Http(link) as client:
            client.send(octets)
            client.answer()
            assert client.wait_for_end() == b""


def test_the_last_frame_arrives(server: Server, context: ssl.SSLContext) -> None:
    """The last frame arrives even if the client goes on sending (STOMP-LINGER-002)."""
    with Stomp.to(server, context=context) as session:
        session.connect()
        late = frame(TEXT, stomp_frame("SEND", {"destination": "/queue/late"}, b"x" * 20_000))
        session.send(frame(TEXT, stomp_frame("SEND", {"destination": "/nowhere"})) + late * 50)
        assert session.refused()["message"] == "unknown destination"


def test_both_directions_at_once(server: Server, context: ssl.SSLContext) -> None:
    """Threads may write while another one reads."""
    with Stomp.to(server, context=context) as reader, Stomp.to(server, context=context) as writer:
        reader.connect()
        writer.connect()
        reader.subscribe("/topic/t")
        for number in range(500):
            writer.say("SEND", {"destination": "/topic/t"}, b"%d" % number)
            reader.say("SEND", {"destination": "/topic/elsewhere"}, b"y" * 100)
        assert writer.fence() == []
        assert [reader.expect("MESSAGE").body for _ in range(500)] == [
            b"%d" % number for number in range(500)
        ]
        assert reader.fence() == []


@pytest.mark.parametrize("octets", [b"GET /topics HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01", b""])
def test_what_is_no_handshake(serve: Serve, pem: Path, context: ssl.SSLContext, octets: bytes) -> None:
    """Octets that are no handshake end only their own connection."""
    server = serve(tls_cert=str(pem), idle_timeout=1)
    with Http(connect(server)) as client:
        client.send(octets)
        client.wait_for_end()
    eventually(lambda: server.listener.connections == 0, "it stays open")
    with Http.to(server, context) as client:
        assert client.get("/topics").status == 200


def test_files_that_are_none(tmp_path: Path) -> None:
    """Bad TLS files are an error of the configuration, explained in one sentence."""
    broken = tmp_path / "broken.pem"
    broken.write_text("nonsense")
    for path in (broken, tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match=r"tls_cert .*pem: .*Expected a PEM file"):
            Server(Settings(port=0, tls_cert=str(path)))
