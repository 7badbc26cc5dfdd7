"""HTTP/1.1 client on one kept-alive connection; `http.client` parses the replies.

The client sends a POST twice only if the server, or a gateway in front of it, refused the first for want of room: the
server may have performed a request that it did not answer.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.wire.access import Access
from conformance.wire.admission import TOO_MANY, UNAVAILABLE, retry_after
from conformance.wire.connection import Connection
from conformance.wire.content_coding import plain_body
from conformance.wire.cutting import cut, cut_octets
from conformance.wire.failures import PeerFailure, RunEnded
from conformance.wire.http_body import BODY_LIMIT, read_body
from conformance.wire.json_values import decoded

if TYPE_CHECKING:
    import ssl
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from conformance.wire.trace import Direction, Trace

#: Methods that change nothing, so that a request may be repeated if the server had closed the connection.
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
_SHOWN = 500
#: Seconds after a reply for which its connection is used again. A server may close an idle one just as it is used
#: (RFC 9112, section 9.3.1), and nobody can know then whether it has performed the request.
IDLE = 0.4
#: Seconds within which a reply that its test has left unread must be there as a whole: a refusal is short.
UNREAD = 0.25
#: Longest head of a reply, with the interim replies (1xx) before it, in octets.
HEAD_LIMIT = 256 << 10


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply; header names are in lower case, values of repeated headers joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    closes: bool = False

    @property
    def content_type(self) -> str:
        """Media type without parameters, in lower case; empty without a content-type."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Decoded JSON body; None if the body is no JSON. Raises TooLong as `json_values.decoded` does."""
        return decoded(self.body)

    def __str__(self) -> str:
        return f"{self.status} {cut_octets(self.body, _SHOWN)}".strip()


class HttpClient:
    """Requests to one server. One thread at a time; `patience` in seconds bounds the wait for a whole reply."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        trace: Trace | None = None,
        patience: float = 5.0,
        interrupted: threading.Event | None = None,
        body_limit: int = BODY_LIMIT,
        access: Access | None = None,
    ) -> None:
        """`interrupted` ends waits with RunEnded; `body_limit` is in octets, where nothing long was sent."""
        self.host, self.port, self.patience = host, port, patience
        self.access = access or Access()
        self._tls, self._trace, self._interrupted = tls, trace, interrupted
        self._body_limit = body_limit
        self._connection: Connection | None = None
        self._answered = 0.0
        self._answers = 0
        self._is_first = True
        self._pending = ""
        self._sent = b""
        shown = f"[{host}]" if ":" in host else host
        self._authority = f"{shown}:{port}"

    @property
    def is_open(self) -> bool:
        """True if the client has a connection that the server has not closed."""
        return self._connection is not None and not self._connection.is_stale()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        within: float | None = None,
    ) -> HttpReply:
        """Send a request and read its reply, within `within` seconds (default: the patience).

        Raises PeerFailure if no whole reply comes, Unreachable if no server answers at the address, Crowded if the
        request is refused for want of room (429, or 503 at a declared limit) as often as it is tried.
        """
        reused = self._connection is not None
        self.start(method, path, body, headers)
        reply = self._reply(within)
        if reply is None and reused and method in _REPEATABLE:
            self.start(method, path, body, headers)
            reply = self._reply(within)
        return self._required(reply, f"a reply to {method} {path}")

    def start(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a request without reading its reply, which `finish` reads. Raises Unreachable, PeerFailure."""
        if self._pending:
            raise RuntimeError(f"the reply to {self._pending} was not read; use a client of its own")
        lines = [self.head(method, path, headers)]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self._sent = "\r\n".join([*lines, "\r\n"]).encode("latin-1") + (body or b"")
        self._send(self._kept_connection(), self._sent)
        self._pending = f"{method} {path}"

    def head(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> str:
        """First lines of a request, without the last line end: with Host and all that goes with every request."""
        merged = self.access.with_headers(headers)
        if not any(name.lower() == "host" for name in merged):
            merged = {"Host": self._authority, **merged}
        lines = [f"{method} {self.access.http_path(path)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in merged.items()]
        return "\r\n".join(lines)

    def finish(self, within: float | None = None) -> HttpReply:
        """Reply to the request of `start`. Raises PeerFailure if it does not come whole in time."""
        expected = f"a reply to {self._pending}"
        return self._required(self._reply(within), expected)

    def has_come(self, within: float) -> bool:
        """True as soon as the server has begun the reply to the request of `start`, or has closed the connection; False
        if it does neither within `within` seconds.
        """
        if self._connection is None:
            return True
        return self._connection.is_readable(within)

    def raw(
        self, octets: bytes, *, stop_sending: bool = False, within: float | None = None
    ) -> HttpReply | None:
        """Send these octets on a new connection; returns the reply, None if the server closes without one.

        `stop_sending` shuts down the sending side. Raises PeerFailure if the server neither replies nor closes.
        """
        replies = self.exchange(octets, stop_sending=stop_sending, within=within)
        return replies[0] if replies else None

    def exchange(
        self,
        octets: bytes,
        replies: int = 1,
        *,
        stop_sending: bool = False,
        within: float | None = None,
        first_method: str = "POST",
    ) -> list[HttpReply]:
        """As `raw`, for several requests at once: up to `replies` replies, fewer if the server closes.

        `first_method` is that of the first request: the reply to HEAD has no body.
        """
        attempts = self.access.admission.attempts() if self.access.admission else None
        methods = [first_method, *["POST"] * (replies - 1)]
        while True:
            read = self._exchange_once(octets, methods, stop_sending=stop_sending, within=within)
            if attempts is None or not read or not _has_no_room(read[0]):
                return read
            attempts.refused(read[0].status, read[0].headers, str(read[0]))

    def in_two(self, head: bytes, body: bytes) -> HttpReply | None:
        """Send the head of a request on a new connection, and its body once the server has said something.

        Returns the reply behind the interim ones, None if the server closes without one. Raises PeerFailure if nothing
        comes before the body, or no whole reply behind it.
        """

        def wait(connection: Connection) -> None:
            if not connection.is_readable(self.patience):
                raise PeerFailure("100 Continue, or the reply", f"nothing for {self.patience:g} s")

        return self._in_pieces([head, body], wait)

    def in_pieces(self, pieces: Sequence[bytes], pause: Callable[[], object]) -> HttpReply | None:
        """Send a request in several writes on a new connection, with a `pause` after each but the last.

        Returns its reply, None if the server closes without one. Raises PeerFailure as `raw` does.
        """
        return self._in_pieces(pieces, lambda _connection: pause())

    def _in_pieces(self, pieces: Sequence[bytes], pause: Callable[[Connection], object]) -> HttpReply | None:
        connection = self._connect()
        try:
            for number, piece in enumerate(pieces):
                if number:
                    pause(connection)
                self._send(connection, piece)
            self._begin(connection, self.patience)
            return self._read(connection, "POST", "a reply to a request in several pieces")
        finally:
            connection.close()

    def _exchange_once(
        self, octets: bytes, methods: Sequence[str], *, stop_sending: bool, within: float | None
    ) -> list[HttpReply]:
        connection = self._connect()
        try:
            self._send(connection, octets)
            if stop_sending:
                connection.stop_sending()
            read: list[HttpReply] = []
            for number, method in enumerate(methods, 1):
                self._begin(connection, self.patience if within is None else within)
                reply = self._read(connection, method, f"reply {number} of {len(methods)}, or the end")
                if reply is None:
                    break
                read.append(reply)
                if reply.closes:
                    break
            if not read:
                self._note_unanswered(is_counted=True)
            return read
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        self._note_unread_refusal()
        self._pending = ""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def cut(self) -> None:
        """Reset the connection as a failing host does; the next request makes a new one."""
        if self._connection is not None:
            self._connection.reset()
        self.close()

    # Connections

    def _kept_connection(self) -> Connection:
        is_idle = time.monotonic() > self._answered + IDLE
        if self._connection is not None and (is_idle or self._connection.is_stale()):
            self.close()
        if self._connection is None:
            self._connection = self._connect()
            self._is_first = True
            self._answers = 0
        return self._connection

    def _connect(self) -> Connection:
        trace = self._trace
        label = trace.label("http") if trace else ""

        def tap(direction: Direction, octets: bytes) -> None:
            if trace:
                trace.record(label, direction, "http", octets)

        if trace:
            trace.note(label, "open", "http", host=self._authority)
        return Connection(
            self.host,
            self.port,
            tls=self._tls,
            patience=self.patience,
            tap=tap if trace else None,
            note=trace.noting(label) if trace else None,
            interrupted=self._interrupted,
            admission=self.access.admission,
        )

    def _send(self, connection: Connection, octets: bytes) -> None:
        connection.begin()
        try:
            connection.sendall(octets)
        except TimeoutError as error:
            self.close()
            raise PeerFailure(
                "a server that reads requests", f"no progress for {self.patience:g} s"
            ) from error
        except OSError:
            pass  # a server may refuse early and close; its reply can still be read

    def _begin(self, connection: Connection, within: float | None) -> None:
        connection.begin(None if within is None else time.monotonic() + within, HEAD_LIMIT)

    # Replies

    def _reply(self, within: float | None) -> HttpReply | None:
        """Reply to the pending request, None if the connection ends before it; tried again for want of room."""
        pending, admission = self._pending, self.access.admission
        attempts = admission.attempts() if admission else None
        is_first = self._is_first
        has_ended = False
        while True:
            reply = self._reply_once(within)
            if (
                reply is None
                and admission is not None
                and not has_ended
                and admission.ends_after(self._answers)
            ):
                # The end was under way when the request was sent, and a server reads no request behind it.
                has_ended = True
                self._send(self._kept_connection(), self._sent)
                self._pending = pending
                continue
            if reply is None or attempts is None or not _has_no_room(reply):
                break
            if not attempts.refused(reply.status, reply.headers, str(reply), "" if is_first else pending):
                break
            self._send(self._kept_connection(), self._sent)
            self._pending = pending
        if reply is None and self._is_first:
            self._note_unanswered()
        self._is_first = False
        return reply

    def _note_unanswered(self, *, is_counted: bool = False) -> None:
        if self.access.admission is not None:
            self.access.admission.note_unanswered(is_counted=is_counted)

    def _note_unread_refusal(self) -> None:
        """Note that a pending request was refused for want of room, which its test has not read."""
        connection, admission = self._connection, self.access.admission
        if connection is None or admission is None or not (self._pending and self._is_first):
            return
        with contextlib.suppress(PeerFailure, OSError, RunEnded):
            if not connection.is_readable(0.0):
                return
            self._begin(connection, UNREAD)
            reply = self._read(connection, self._pending.partition(" ")[0], "an unread reply")
            if reply is None:
                admission.note_unanswered(is_counted=True)
            elif _has_no_room(reply):
                admission.crowded(f"the server takes no further connection: {reply}")

    def _reply_once(self, within: float | None) -> HttpReply | None:
        connection = self._connection
        if connection is None:
            raise RuntimeError("no request was sent")
        method = self._pending.partition(" ")[0]
        expected = f"a reply to {self._pending}"
        self._begin(connection, within)
        try:
            reply = self._read(connection, method, expected)
        except PeerFailure:
            self.close()
            raise
        self._pending = ""
        self._answers += reply is not None
        self._answered = time.monotonic()
        if reply is None or reply.closes:
            self.close()
        return reply

    def _read(self, connection: Connection, method: str, expected: str) -> HttpReply | None:
        """Next reply; None if the connection ends before it."""
        try:
            while True:
                response = http.client.HTTPResponse(connection, method=method)  # type: ignore[arg-type]
                response.begin()
                if response.status == http.HTTPStatus.SWITCHING_PROTOCOLS or response.status >= 200:
                    break
            limit = self._body_limit + (2 * self._trace.sent if self._trace else 0)
            connection.allowance = 2 * limit  # the framing of chunks counts too
            body = read_body(response, expected, limit)
            if coding := response.headers.get("content-encoding"):
                body = plain_body(body, coding, expected, limit)
        except http.client.RemoteDisconnected:
            return None
        except TimeoutError as error:
            raise PeerFailure(expected, "no whole reply in time") from error
        except http.client.BadStatusLine as error:
            raise PeerFailure(expected, f"no HTTP: {cut(repr(error.args[0]), _SHOWN)}") from error
        except (http.client.HTTPException, ValueError) as error:
            raise PeerFailure(expected, f"no HTTP: {cut(repr(error), _SHOWN)}") from error
        except ConnectionError:
            return None
        headers: dict[str, str] = {}
        for name, value in response.getheaders():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return HttpReply(response.status, headers, body, closes=bool(response.will_close))

    def _required(self, reply: HttpReply | None, expected: str) -> HttpReply:
        if reply is None:
            raise PeerFailure(expected, "the connection was closed without a reply")
        return reply


def _has_no_room(reply: HttpReply) -> bool:
    """True for 429, and for 503 unless it names a reason in the request and says no more."""
    if reply.status != UNAVAILABLE:
        return reply.status == TOO_MANY
    is_problem = "problem+json" in reply.headers.get("content-type", "")
    return reply.closes or not is_problem or retry_after(reply.headers) is not None
