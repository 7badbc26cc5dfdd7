"""The HTTP binding: which method and path is which operation, and long polls that wait for their record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_server.queue.introspection import is_readable
from reference_server.server.long_poll import LongPoll
from reference_server.server.responses import Response, problem
from reference_server.server.websocket import ENDPOINTS

if TYPE_CHECKING:
    from reference_server.queue.operations import Outcome
    from reference_server.server.application import Application
    from reference_server.server.requests import Request
    from reference_server.server.transport import Transport

CAPABILITIES = "/capabilities"
ADVANCE = "/clock/advance"


class HttpBinding:
    """Answers requests; one for all connections."""

    def __init__(self, application: Application, capabilities: bytes) -> None:
        self._application = application
        self._capabilities = Response(200, capabilities)

    def answer(self, request: Request, transport: Transport) -> Response | None:
        """Answer one request. None: the client of a long poll is gone.

        `transport` is watched while a long poll waits, so that no record is handed to a client that has left.
        """
        method, path = request.method, request.path
        if method == "POST":
            if path == ADVANCE:
                return self._advance(request.body)
            if self._application.operations.is_operation(path):
                return self._perform(path, request.body, transport)
        elif method in {"GET", "HEAD"}:
            if path == CAPABILITIES:
                return self._capabilities
            if is_readable(path):
                return _as_response(self._application.read(path))
            if path in ENDPOINTS:
                return problem(
                    426, "upgrade-required", f"{path} speaks STOMP over WebSocket: ask for an upgrade."
                )
        return self._refuse(path)

    def _refuse(self, path: str) -> Response:
        allow = self._methods_of(path)
        if allow:  # HTTP-METHOD-1, HTTP-METHOD-2
            return problem(405, "method-not-allowed", f"{path[:200]} is there for {allow}.", allow=allow)
        # HTTP-PATH-1, HTTP-PATH-2
        return problem(
            404, "path-unknown", f"There is nothing at {path[:200]!r}; GET /capabilities tells more."
        )

    def _methods_of(self, path: str) -> str:
        if path == ADVANCE or self._application.operations.is_operation(path):
            return "POST"
        if path == CAPABILITIES or is_readable(path) or path in ENDPOINTS:
            return "GET, HEAD"
        return ""

    def _perform(self, path: str, body: bytes, transport: Transport) -> Response | None:
        """Perform an operation; None: a long poll whose client is gone."""
        long_poll = LongPoll()
        outcome = self._application.perform(path, body, long_poll)
        if outcome is None:
            try:
                long_poll.wait(transport)
            finally:
                if long_poll.outcome is None:
                    self._application.cancel(long_poll)
            outcome = long_poll.outcome
        return None if outcome is None else _as_response(outcome)

    def _advance(self, body: bytes) -> Response:
        if self._application.clock.is_virtual:
            return _as_response(self._application.advance(body))
        return problem(404, "no-clock", "The clock runs by itself: start the server with --virtual-clock.")


def _as_response(outcome: Outcome) -> Response:
    return Response(outcome.status, outcome.body, outcome.content_type)
