"""The HTTP binding: the operation of each method and path, and long polls that wait for their record."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from reference_server.queue.introspection import is_readable
from reference_server.queue.outcomes import Outcome
from reference_server.server.application import Application
from reference_server.server.clock import wall
from reference_server.server.cross_origin import is_question, leave_to_send
from reference_server.server.guard import Guard
from reference_server.server.long_poll import LongPoll
from reference_server.server.page import PATHS, LivePage
from reference_server.server.requests import Request
from reference_server.server.responses import problem
from reference_server.server.transport import Transport

if TYPE_CHECKING:
    from reference_server.server.metrics import Metrics

CAPABILITIES = "/capabilities"
HEALTH = "/health"
METRICS = "/metrics"
_OPEN = {CAPABILITIES, HEALTH}
"""Served without a login."""
ADVANCE = "/clock/advance"
_SOCKJS = re.compile(r"/[^/]+/[^/]+/(websocket|xhr|xhr_send|xhr_streaming|eventsource|htmlfile|jsonp)$")
_POST = ("POST",)
_GET = ("GET", "HEAD")


class HttpBinding:
    """Answers requests; one for all connections."""

    def __init__(
        self,
        application: Application,
        capabilities: bytes,
        *,
        version: str,
        connections: Callable[[], int],
    ) -> None:
        """`connections` returns the number of open ones."""
        self.guard = Guard(application)
        self._application = application
        self._capabilities = Outcome(200, capabilities)
        self._version = version
        self._connections = connections
        self._metrics: Metrics | None = None
        self._page = LivePage(application)
        self._routes = (
            (application.operations.is_operation, _POST, self._perform),
            (lambda path: is_readable(path) or path in PATHS, _GET, self._read),
            (CAPABILITIES.__eq__, _GET, self._describe),
            (HEALTH.__eq__, _GET, self._tell_health),
            (METRICS.__eq__, _GET, self._measure),
            (ADVANCE.__eq__, _POST, self._advance),
            (application.endpoints.__contains__, _GET, self._ask_for_upgrade),
        )
        """Routes: paths, methods and handlers; the first row that fits counts."""

    def answer(self, request: Request, transport: Transport) -> Outcome | None:
        """Answer one request; None if it is a long poll whose client is gone.

        `transport` is watched while a long poll waits, so that no record is handed to a client that has left.
        """
        path = request.path
        guard = self.guard
        if is_question(request) and guard.foreign_page(request):
            return leave_to_send()
        if path not in _OPEN and (refusal := guard.check_login(request, transport.address)):
            return refusal
        for serves, methods, handle in self._routes:
            if serves(path):
                if request.method in methods:
                    refusal = guard.check_body(request) if methods is _POST else None
                    return refusal or handle(request, transport)
                allow = ", ".join(methods)  # HTTP-METHOD-1, HTTP-METHOD-2
                return problem(405, "method-not-allowed", f"{path[:200]} is there for {allow}.", allow=allow)
        # HTTP-PATH-1, HTTP-PATH-2
        detail = f"There is nothing at {path[:200]!r}; GET /capabilities tells more."
        for endpoint in self._application.endpoints:
            if path == f"{endpoint}/info" or (path.startswith(f"{endpoint}/") and _SOCKJS.search(path)):
                detail = f"There is no SockJS at {path[:200]!r}. Connect a plain WebSocket to {endpoint}."
        return problem(404, "path-unknown", detail)

    def _perform(self, request: Request, transport: Transport) -> Outcome | None:
        long_poll = LongPoll()
        outcome = self._application.perform(request.path, request.body, long_poll)
        if outcome is not None:
            return outcome
        try:
            long_poll.wait(transport)
        except OSError:
            return problem(
                503, "no-descriptor", "No file descriptor is left for one more wait; poll again later."
            )
        finally:
            if long_poll.outcome is None:
                self._application.cancel(long_poll)
        return long_poll.outcome

    def _read(self, request: Request, _transport: Transport) -> Outcome:
        if not self._application.settings.introspection:
            return problem(
                404, "no-introspection", "Introspection is off: start the server with --introspection."
            )
        if request.path in PATHS and not self._application.has_page:
            detail = "The live page shows a server without --log. Read /topics and /consumer-groups/{group}."
            return problem(404, "no-page", detail)
        if request.path in PATHS:
            return self._page.answer(request)
        return self._application.read(request.path)

    def _describe(self, _request: Request, _transport: Transport) -> Outcome:
        return self._capabilities

    def _tell_health(self, _request: Request, _transport: Transport) -> Outcome:
        health = {
            "status": "ok",
            "version": self._version,
            "uptime": round(wall() - self._application.began, 3),
        }
        return Outcome(200, msgspec.json.encode(health))

    def _measure(self, _request: Request, _transport: Transport) -> Outcome:
        if self._metrics is None:
            # The library takes longer to load than the whole server to start.
            from reference_server.server.metrics import Metrics

            self._metrics = Metrics(self._application, self._connections)
        return self._metrics.write()

    def _advance(self, request: Request, _transport: Transport) -> Outcome:
        if self._application.settings.virtual_clock:
            return self._application.advance(request.body)
        return problem(404, "no-clock", "The clock runs by itself: start the server with --virtual-clock.")

    def _ask_for_upgrade(self, request: Request, _transport: Transport) -> Outcome:
        detail = f"{request.path} speaks STOMP over WebSocket: ask for an upgrade."
        return problem(426, "upgrade-required", detail)
