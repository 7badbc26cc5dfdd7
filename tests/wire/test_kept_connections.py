"""HTTP connections that are used again, and those that have been idle for too long for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.wire import http
from conformance.wire.http import HttpClient
from conformance.wire.trace import Trace
from reference_server.config import Settings
from reference_server.server import Server

if TYPE_CHECKING:
    import pytest


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
