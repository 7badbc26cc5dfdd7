"""Deadlines of every phase of a connection, and the end of file descriptors: no client holds a place for ever."""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trustme

from reference_server.server import long_poll
from tests.server.wire import DEADLINE, Http, connect, request

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from tests.server.conftest import Serve

NEVER = threading.Event()
PACE = 0.02
GET = request("GET", "/capabilities")


def drip(link: socket.socket, octets: bytes) -> float:
    """Send octets over and over, one at a time, until the server ends the connection; returns the seconds."""
    began = time.monotonic()
    position = 0
    while time.monotonic() - began < DEADLINE:
        try:
            link.sendall(octets[position % len(octets) :][:1])
        except OSError:
            break
        position += 1
        NEVER.wait(PACE)
    return time.monotonic() - began


@pytest.mark.parametrize("before", [b"", GET])
@pytest.mark.parametrize(
    "octets", [b"\r\n", b"\n", b"GET /" + b"x" * 60_000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 9000]
)
def test_octet_by_octet_for_ever(serve: Serve, before: bytes, octets: bytes) -> None:
    """Line ends before a request, and a head that drips, end at the deadline, also after a served request."""
    with Http.to(serve(idle_timeout=0.5, header_bytes=100_000, headers=100_000, linger=0.1)) as client:
        if before:
            assert client.exchange(before).status == 200
        assert drip(client.link, octets) < DEADLINE / 2


def test_a_body_that_drips(serve: Serve) -> None:
    """A body has the deadline of its request."""
    with Http.to(serve(idle_timeout=0.5, linger=0.1)) as client:
        client.send(request("POST", "/topic/add-topic", None, Content_Length="100000"))
        assert drip(client.link, b" ") < DEADLINE / 2


def test_a_slow_request_in_time(serve: Serve) -> None:
    """A pause before a request does not count against it."""
    with Http.to(serve(idle_timeout=1.0)) as client:
        for _ in range(3):
            NEVER.wait(0.6)
            client.send(GET[:20])
            NEVER.wait(0.6)
            assert client.exchange(GET[20:]).status == 200


def test_a_tls_handshake_that_drips(serve: Serve, tmp_path: Path) -> None:
    """A TLS handshake has a deadline as a whole."""
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    server = serve(tls_cert=str(tmp_path / "server.pem"), idle_timeout=0.5)
    with connect(server) as link:
        # The head of a record of 16 KiB, whose octets come one by one.
        assert drip(link, b"\x16\x03\x01\x3f\xff" + b"\x01" * 16_000) < DEADLINE / 2


def test_a_wait_without_descriptors(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long poll that gets no descriptor is answered by 503, takes no record along, and ends no connection."""
    with Http.to(serve()) as client:
        client.ask("/topic/add-topic", topicName="news", partitions=1)
        client.ask("/consumer-group/add", consumer_group_name="g")
        client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name="c")
        client.ask("/consumer/subscribe-topic", consumer_name="c", topic_list="news")

        def none_left() -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(long_poll.socket, "socketpair", none_left)
            answer = client.ask("/consumer/poll", consumer_name="c", wait_seconds=20)
            assert (answer.status, answer.cause) == (503, "no-descriptor")
        client.ask("/producer/publish/news", messageID=1, message="m")
        assert client.ask("/consumer/poll", consumer_name="c", wait_seconds=20).status == 200
