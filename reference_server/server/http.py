"""The HTTP binding: which method and path is which operation, and long polls that wait for their record."""

from __future__ import annotations

import contextlib
import math
import select
import socket
from typing import TYPE_CHECKING, Annotated

import msgspec

from reference_server.server.application import Waiter
from reference_server.server.clock import VirtualClock, wall
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
            if _is_readable(path):
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
        if path == CAPABILITIES or _is_readable(path) or path in ENDPOINTS:
            return "GET, HEAD"
        return ""

    def _perform(self, path: str, body: bytes, transport: Transport) -> Response | None:
        waiter = _LongPoll()
        outcome = self._application.perform(path, body, waiter)
        if outcome is None:
            outcome = self._wait(waiter, transport)
        return None if outcome is None else _as_response(outcome)

    def _wait(self, waiter: _LongPoll, transport: Transport) -> Outcome | None:
        """Wait for the answer of a long poll; None: its client is gone."""
        cancelled = None
        try:
            with waiter:
                waiter.wait(wall() + waiter.seconds, transport)
        finally:  # also where there is no descriptor left to wait with
            if waiter.outcome is None:
                cancelled = self._application.cancel(waiter)
        if waiter.outcome is not None:  # it may have come while it was cancelled
            return waiter.outcome
        return None if waiter.is_abandoned else cancelled

    def _advance(self, body: bytes) -> Response:
        application = self._application
        if not isinstance(application.clock, VirtualClock):
            return problem(
                404, "no-clock", "The clock runs by itself: start the server with --virtual-clock."
            )
        try:
            step = msgspec.json.decode(body, type=_Advance)
        except msgspec.ValidationError as error:  # CLOCK-4
            if not body.lstrip().startswith(b"{"):
                return problem(400, "body-not-object", f"Expected a JSON object. {error}.")
            return problem(
                400, "member-value", f"Expected seconds, a number from 0 to 1e9. {error}.", member="seconds"
            )
        except msgspec.DecodeError as error:
            return problem(400, "body-not-json", f"Expected a JSON object. {error}.")
        if step.consumer_group_name is not msgspec.UNSET:  # CLOCK-3
            return _as_response(application.advance_group(body))
        return Response(200, msgspec.json.encode({"now": application.advance(step.seconds)}))


class _Advance(msgspec.Struct):
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    consumer_group_name: object = msgspec.UNSET


class _LongPoll(Waiter):
    """Waits for the answer and for the end of the connection at once."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.is_abandoned = False
        """Whether the client left."""
        self._bell: tuple[socket.socket, socket.socket] | None = None

    def answer(self, outcome: Outcome) -> None:
        """Take the answer."""
        self.outcome = outcome

    def flush(self) -> None:
        """Wake the thread that waits, unless it has not begun to, or has seen the answer."""
        if self._bell is not None:
            with contextlib.suppress(OSError):
                self._bell[0].send(b"!")

    def __enter__(self) -> None:
        self._bell = socket.socketpair()

    def __exit__(self, *failure: object) -> None:
        assert self._bell is not None
        for end in self._bell:
            end.close()

    def wait(self, deadline: float, transport: Transport) -> None:
        """Return when it is answered, abandoned, or the deadline (wall time) has passed."""
        assert self._bell is not None
        poll = select.poll()
        poll.register(self._bell[1], select.POLLIN)
        poll.register(transport, select.POLLIN)
        while self.outcome is None and (left := deadline - wall()) > 0:
            for descriptor, _ in poll.poll(math.ceil(left * 1000)):
                if descriptor != transport.fileno():
                    continue
                if transport.has_ended():
                    self.is_abandoned = True
                    return
                poll.unregister(transport)  # the next request has come; it waits for its turn


def _is_readable(path: str) -> bool:
    collection, slash, name = path[1:].partition("/")
    if not slash:
        return path == "/topics"
    return collection in {"topics", "consumer-groups"} and bool(name) and "/" not in name


def _as_response(outcome: Outcome) -> Response:
    return Response(outcome.status, outcome.body, outcome.content_type)
