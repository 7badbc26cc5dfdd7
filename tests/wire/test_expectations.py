"""Requests whose body waits for the server: `Expect: 100-continue`."""

from __future__ import annotations

import socket
import threading

import pytest

from conformance.wire.failures import PeerFailure
from conformance.wire.http import HttpClient
from reference_server.config import Settings
from reference_server.server import Server

BODY = b'{"consumer_name": "nobody"}'


def _head(client: HttpClient) -> bytes:
    headers = {"Content-Type": "application/json", "Content-Length": str(len(BODY)), "Expect": "100-continue"}
    return client.head("POST", "/consumer/heartbeat", headers).encode() + b"\r\n\r\n"


def test_the_body_follows_the_interim_reply() -> None:
    """The reply is that behind 100 Continue."""
    with Server(Settings(port=0)) as server:
        client = HttpClient("127.0.0.1", server.port)
        reply = client.in_two(_head(client), BODY)
    assert reply is not None
    assert reply.status == 404


def test_a_server_that_says_nothing_gets_no_body() -> None:
    """A server that waits for the body and says nothing is a failure, and the body stays here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(4096):
                    seen.append(data)

        thread = threading.Thread(target=serve)
        thread.start()
        client = HttpClient("127.0.0.1", listener.getsockname()[1], patience=0.2)
        with pytest.raises(PeerFailure, match="nothing for"):
            client.in_two(_head(client), BODY)
        thread.join(10)
    assert b"".join(seen) == _head(client)
