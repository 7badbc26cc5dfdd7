"""HTTP connections that are used again, and those that have been idle for too long for that."""

from __future__ import annotations

import socket

import pytest

from conformance.wire import http
from conformance.wire.access import Access
from conformance.wire.admission import Admission
from conformance.wire.failures import PeerFailure
from conformance.wire.http import HttpClient
from conformance.wire.trace import Trace
from reference_server.config import Settings
from reference_server.server import Server
from tests.command import odd_servers


def _opened(requests: int) -> int:
    """Connections that so many requests in a row take."""
    trace = Trace()
    with Server(Settings(port=0)) as server:
        client = HttpClient("127.0.0.1", server.port, trace=trace)
        for _ in range(requests):
            reply = client.request("POST", "/consumer/heartbeat", b"{}", {"Content-Type": "application/json"})
            assert reply.status == 400
        client.close()
    return len({event.connection for event in trace.recording().events})


def test_a_connection_is_used_again() -> None:
    """Requests that follow one another take one connection."""
    assert _opened(3) == 1


def test_an_idle_connection_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may close an idle connection just as a request is sent, which then has no reply."""
    monkeypatch.setattr(http, "IDLE", -1.0)
    assert _opened(3) == 3


@pytest.mark.parametrize(("ends", "is_judged"), [([3, 3, 3, 99], True), ([3, 2, 99], False)])
def test_a_connection_that_ends_as_a_request_arrives(ends: list[int], is_judged: bool) -> None:
    """The request is sent again if connections end after the same number of replies each; else it has no reply."""

    def serve(connection: socket.socket) -> None:
        most = ends.pop(0)
        for _ in range(most):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        connection.recv(1, socket.MSG_PEEK)

    with odd_servers.listening(serve) as port:
        client = HttpClient("127.0.0.1", port, access=Access(admission=Admission()))
        seen = []
        for _ in range(12):
            try:
                seen.append(client.request("POST", "/", b"").status)
            except PeerFailure:
                seen.append(0)
        assert (seen == [204] * 12) == is_judged
        client.close()
