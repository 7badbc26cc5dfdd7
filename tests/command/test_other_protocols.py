"""First contact with ports that speak something other than HTTP or STOMP: status 2, and a name for what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.command import odd_servers
from tests.command.test_first_contact import refused, server_context

if TYPE_CHECKING:
    from tests.command.conftest import Command

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "speaks SSH, not HTTP"),
        (b"220 mail.example ESMTP ready\r\n", "speaks SMTP or FTP, not HTTP"),
        (b"-ERR unknown command 'GET'\r\n", "speaks the protocol of Redis, not HTTP"),
        (b"AMQP\0\0\x09\x01", "speaks AMQP, not HTTP"),
        (SETTINGS, "speaks HTTP/2 only, as servers of gRPC do"),
        (b"\x4a\0\0\0\x0a8.0.33\0", "does not speak HTTP: its first octets are b'J"),
    ],
    ids=["ssh", "smtp", "redis", "amqp", "http2", "unknown"],
)
def test_a_port_of_another_protocol_is_named(conformance: Command, octets: bytes, name: str) -> None:
    with odd_servers.listening(odd_servers.greeting(octets)) as port:
        ended = conformance(f"ws://127.0.0.1:{port}/stomp")
        refused(ended, f"no WebSocket at 127.0.0.1:{port}", name)
        assert "BadStatusLine" not in ended.stderr


@pytest.mark.parametrize("answer", [b"hello, CONNECT", b'{"type":"welcome"}'])
def test_a_web_socket_without_stomp_is_nothing_to_judge(conformance: Command, answer: bytes) -> None:
    """A chat, an echo or a live-reload server accepts the upgrade, too: that makes it no broker with faults."""
    with odd_servers.listening(odd_servers.web_socket(answer)) as port:
        refused(
            conformance(f"ws://127.0.0.1:{port}/chat"), "there is a WebSocket at /chat", "speaks no STOMP"
        )


def test_a_web_socket_that_says_nothing_is_nothing_to_judge(conformance: Command) -> None:
    with odd_servers.listening(odd_servers.web_socket(b"")) as port:
        refused(conformance(f"ws://127.0.0.1:{port}/"), "speaks no STOMP", "nothing")


@pytest.mark.parametrize("more", [(), ("--class", "queue-http")], ids=["found out", "http alone"])
def test_plain_http_at_a_port_with_tls(conformance: Command, more: tuple[str, ...]) -> None:
    """Web servers answer that by 400 in plain HTTP."""
    with odd_servers.listening(odd_servers.tls_that_refuses_plain_http(server_context())) as port:
        refused(conformance(f"ws://127.0.0.1:{port}/stomp", *more), "speaks TLS", f"wss://127.0.0.1:{port}")


def test_an_upgrade_with_a_wrong_answer_is_described(conformance: Command) -> None:
    octets = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    with odd_servers.listening(odd_servers.answering(octets)) as port:
        refused(conformance(f"ws://127.0.0.1:{port}/stomp"), "lacks a right Upgrade, Connection")
