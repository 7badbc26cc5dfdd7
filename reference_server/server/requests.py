"""HTTP requests: octets in, whole requests out, within bounds; `httptools` parses."""

import math
from urllib.parse import unquote_to_bytes

import httptools
import msgspec

from reference_server.budget import Budget, Charge
from reference_server.config import Settings
from reference_server.queue.outcomes import Outcome
from reference_server.server.parts import add_part
from reference_server.server.responses import problem
from reference_server.stomp.strangers import stranger_to_http

_ONCE = ("host", "origin", "authorization", "content-type")
"""Headers that may stand once: which of two is meant, a proxy and this server could see differently."""


class Request(msgspec.Struct):
    """One whole request. `keep_alive` is the client's wish (HTTP-KEEP-1)."""

    method: str
    path: str
    query: bytes
    """The part after the question mark, as it came."""
    headers: list[tuple[str, str]]
    fields: dict[str, str]
    """The headers by name in lower case; of repeated ones the last, but lists are joined."""
    body: bytes
    keep_alive: bool
    is_upgrade: bool
    """True if it asks for WebSocket."""


class BadRequest(Exception):
    """A request that cannot be read; the connection ends after its refusal."""


class RequestReader:
    """Splits the octets of one connection into requests; has the callbacks of the `httptools` parser, too."""

    def __init__(self, settings: Settings, budget: Budget) -> None:
        self.wants_continue = False
        """True while the client waits for 100 before it sends a body."""
        self.is_head = False
        """True if the request that comes is a HEAD, whose answer has no body."""
        self.rest = b""
        """Octets after a request for WebSocket."""
        self._settings = settings
        self._budget = budget
        self._charge = Charge(budget)
        self._requests: list[Request] = []
        self._parser = httptools.HttpRequestParser(self)
        self._refusal: Outcome | None = None
        self._has_served = False
        self._began = math.inf
        """Wall time at which the request, or the wait for it, began."""
        self.on_message_begin()

    @property
    def is_between_requests(self) -> bool:
        """True if no octet of the next request has come."""
        return self._head_octets == 0 and not self._url

    def give_up(self) -> Outcome | None:
        """The refusal of a request that does not come; None if the client was served and is idle."""
        return None if self.is_between_requests and self._has_served else self._too_slow()

    def feed(self, data: bytes, now: float) -> tuple[list[Request], Outcome | None]:
        """Take octets, at `now` in seconds of wall time.

        Return the requests that they complete, and the refusal of what follows those.
        """
        was_idle = self.is_between_requests
        self._began = min(self._began, now)
        refusal: Outcome | None = None
        self._unreported_octets += len(data)
        try:
            self._parse(data)
            # The parser reports a header when it is whole, and no chunk extension: one that never ends counts here.
            if self._unreported_octets > 2 * self._settings.header_bytes and not self.is_between_requests:
                self._refuse(self._too_large())
        except (BadRequest, httptools.HttpParserCallbackError):
            refusal = self._refusal or problem(400, "request-malformed", "The request cannot be read.")
        except httptools.HttpParserInvalidMethodError:
            advice = stranger_to_http(data)
            refusal = problem(400, "request-malformed", advice) if advice else _unknown_method()
        except httptools.HttpParserError as error:  # HTTP-LENGTH-1 among others
            refusal = problem(400, "request-malformed", f"The request cannot be read: {error}.")
        self._charge.set(self._head_octets and self._head_octets + self._body_octets)
        if refusal is None and self._charge.octets and not self._budget.has_room():
            refusal = problem(503, "server-full", "The server keeps as much as it may; come back later.")
        requests, self._requests = self._requests, []
        self._has_served = self._has_served or bool(requests)
        if requests or (was_idle and not self.is_between_requests):
            self._began = now
        elif refusal is None and now - self._began > self._settings.idle_timeout:
            refusal = self._too_slow()  # it arrives octet by octet, or only line ends do
        return requests, refusal

    def close(self) -> None:
        """Break the cycle of reader and parser: an unfinished request may be large, and full collections are rare."""
        del self._parser
        self._charge.set(0)

    def _parse(self, data: bytes) -> None:
        """Parse octets. A declined upgrade is parsed again without it, so that its body is no request."""
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            else:
                return
            if self._is_upgrade:
                self.rest = data
                return
            lines = [f"{name}: {value}\r\n" for name, value in self._headers if name != "upgrade"]
            start = b"%b %b HTTP/%b\r\n" % (self._parser.get_method(), self._url, self._version)
            data = start + "".join([*lines, "\r\n"]).encode("latin-1") + data
            self._parser = httptools.HttpRequestParser(self)

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._head_octets = 0
        self._unreported_octets = 0
        self._body_octets = 0
        self._head_is_whole = False
        self.is_head = self._is_upgrade = self._is_declined = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._url += url
        self.is_head = self._parser.get_method() == b"HEAD"
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t")))
        self._count_head(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        """Judge the head before the body comes."""
        self._head_is_whole = True
        self._unreported_octets = 0
        self._version = self._parser.get_http_version().encode()
        fields = self._fields = dict(self._headers)
        length = fields.get("content-length")
        if length is not None and int(length) > self._settings.body_bytes:
            self._refuse(self._body_too_large())
        method = self._parser.get_method()
        if length is None and "transfer-encoding" not in fields and method == b"POST":
            # HTTP-LENGTH-1: the end of the body is unknown, so nothing after it can be read either.
            self._refuse(problem(411, "length-required", "Send Content-Length, 0 for an empty body."))
        # RFC 9110, section 10.1.1: HTTP/1.0 has no interim responses.
        self.wants_continue = fields.get("expect", "").lower() == "100-continue" and self._version != b"1.0"
        if "host" not in fields and self._version == b"1.1":  # RFC 9112, section 3.2.2
            self._refuse(problem(400, "request-malformed", "Expected one Host header; found 0."))
        if len(fields) < len(self._headers):
            self._check_repeated()
        coding = self._all("transfer-encoding") if "transfer-encoding" in fields else ""
        if coding.lower().endswith("chunked") and coding.lower() != "chunked":  # the parser refuses others
            detail = f"Send the body as it is or chunked; found Transfer-Encoding: {coding[:100]}."
            self._refuse(problem(501, "transfer-coding", detail))  # RFC 9112, section 6.1
        if method == b"CONNECT":  # the octets after it are no requests
            self._refuse(_unknown_method())
        self._is_upgrade = (
            self._parser.should_upgrade()
            and method == b"GET"
            and self._version == b"1.1"
            and "websocket" in {each.strip() for each in self._all("upgrade").lower().split(",")}
            and fields.get("content-length", "0") == "0"
            and "transfer-encoding" not in fields
        )
        # Any other upgrade is declined by serving the request as it is (RFC 9110, section 7.8).
        self._is_declined = self._parser.should_upgrade() and not self._is_upgrade

    def _all(self, name: str) -> str:
        """The value of a header whose lines are one list, as RFC 9110, section 5.3, joins them."""
        return ", ".join(value for found, value in self._headers if found == name)

    def _check_repeated(self) -> None:
        for once in _ONCE:
            if (count := sum(name == once for name, _ in self._headers)) > 1:
                detail = f"Expected one {once.title()} header; found {count}."
                self._refuse(problem(400, "request-malformed", detail))

    def on_body(self, part: bytes) -> None:
        """Take a part of the body (HTTP-CHUNKED-1)."""
        self.wants_continue = False
        add_part(self._body, part)
        self._unreported_octets = 0
        self._body_octets += len(part)
        if self._body_octets > self._settings.body_bytes:
            self._refuse(self._body_too_large())

    def on_message_complete(self) -> None:
        """Add the request, unless it has to be parsed again."""
        if self._is_declined:
            return
        self.wants_continue = False
        is_path = self._url.startswith(b"/") or b"://" in self._url  # RFC 9112, section 3.2.2
        url = httptools.parse_url(self._url) if is_path else None
        path, query = (url.path or b"/", url.query or b"") if url else (self._url, b"")
        if url is not None and url.host is not None:  # the target's host counts, not that of the header
            host, port = url.host.decode("latin-1"), f":{url.port}" if url.port else ""
            self._fields["host"] = f"[{host}]{port}" if ":" in host else host + port
        try:
            text = (unquote_to_bytes(path) if b"%" in path else path).decode()
        except UnicodeDecodeError:
            self._refuse(problem(400, "request-malformed", "The path is not UTF-8 after percent-decoding."))
        method, body = self._parser.get_method().decode("ascii"), b"".join(self._body)
        keep_alive = self._parser.should_keep_alive()
        self._requests.append(
            Request(method, text, query, self._headers, self._fields, body, keep_alive, self._is_upgrade)
        )
        self._url = b""
        self._head_octets = 0

    def _count_head(self, octets: int) -> None:
        self._head_octets += octets
        self._unreported_octets = 0
        if self._head_octets > self._settings.header_bytes or len(self._headers) > self._settings.headers:
            self._refuse(self._too_large())

    def _too_slow(self) -> Outcome:
        limit = self._settings.idle_timeout
        return problem(408, "request-timeout", f"A request has to come within {limit:g} s.")

    def _too_large(self) -> Outcome:  # HTTP-HEADERS-1, HTTP-HEADERS-2
        bounds = f"{self._settings.headers} headers of {self._settings.header_bytes} octets together"
        if self._head_is_whole:
            bounds += ", trailers and the extensions of one chunk included"
        return problem(431, "headers-too-large", f"A request may have {bounds}.")

    def _body_too_large(self) -> Outcome:  # HTTP-SIZE-1, HTTP-SIZE-2
        return problem(413, "body-too-large", f"A body may have {self._settings.body_bytes} octets.")

    def _refuse(self, response: Outcome) -> None:
        self._refusal = response
        raise BadRequest


def _unknown_method() -> Outcome:
    return problem(405, "method-not-allowed", "Known methods are GET and POST.", allow="GET, POST")
