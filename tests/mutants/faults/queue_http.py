"""Faults in the binding to HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import names
from reference_server.queue.outcomes import JSON, Outcome
from reference_server.server import responses
from reference_server.server.http import HttpBinding
from reference_server.server.requests import Request, RequestReader
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, fault

if TYPE_CHECKING:
    from reference_server.server.transport import Transport


def _edit_responses(edit: Any) -> None:
    """Have `edit(binding, request, response)` change the responses to whole requests."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Transport) -> Outcome | None:
        response: Outcome | None = original(self, request, transport)
        changed: Outcome | None = response and edit(self, request, response)
        return changed


def _edit_refusals(status: int, change: Outcome) -> None:
    """Answer requests that the reader refuses by `status` with `change` applied to the response."""

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        requests, refusal = original(self, data, now)
        return requests, change if refusal is not None and refusal.status == status else refusal


@fault("HTTP-POST-1", bindings=HTTP)
def a_query_makes_another_path() -> None:
    """A path with a `?` in it is not served."""

    @wrap(RequestReader, "on_message_complete")
    def complete(original: Any, self: RequestReader) -> None:
        has_query = b"?" in self._url
        original(self)
        if has_query:
            self._requests[-1].path += "?"


@fault("NAME-3", bindings=HTTP)
def paths_are_not_decoded() -> None:
    """Names may have any letters, but a topic whose name has to be percent-encoded in a path is not found there."""
    names._NAME = re.compile(r"[\w.-]+")

    @wrap(RequestReader, "on_message_complete")
    def complete(original: Any, self: RequestReader) -> None:
        url = self._url
        original(self)
        if b"%" in url:
            self._requests[-1].path = url.partition(b"?")[0].decode()


@fault("HTTP-TYPE-1", bindings=HTTP)
def json_is_called_text() -> None:
    """Bodies have the content type text/plain."""

    def edit(_binding: HttpBinding, _request: Request, response: Outcome) -> Outcome:
        if response.content_type != JSON:
            return response
        return msgspec.structs.replace(response, content_type="text/plain")

    _edit_responses(edit)


@fault("HTTP-PATH-1", bindings=HTTP)
def every_path_is_served() -> None:
    """A GET of an unknown path is answered 200 with a page."""

    def edit(_binding: HttpBinding, request: Request, response: Outcome) -> Outcome:
        if response.status == 404 and b"path-unknown" in response.body and request.method == "GET":
            return Outcome(200, b"<h1>It works</h1>", "text/html")
        return response

    _edit_responses(edit)


@fault("HTTP-PATH-1", bindings=HTTP)
def unknown_operations_are_accepted() -> None:
    """A POST to a path below one of the operations is answered 202 and ignored."""

    def edit(_binding: HttpBinding, request: Request, response: Outcome) -> Outcome:
        is_below = request.path.startswith(("/consumer/", "/topic/", "/consumer-group/"))
        is_unknown = response.status == 404 and b"path-unknown" in response.body
        return Outcome(202) if is_unknown and is_below and request.method == "POST" else response

    _edit_responses(edit)


@fault("HTTP-PATH-2", bindings=HTTP)
def unknown_paths_are_bad_requests() -> None:
    """An unknown path is refused by 400."""

    def edit(_binding: HttpBinding, _request: Request, response: Outcome) -> Outcome:
        if response.status != 404 or b"path-unknown" not in response.body:
            return response
        body = response.body.replace(b'"status":404', b'"status":400')
        return msgspec.structs.replace(response, status=400, body=body)

    _edit_responses(edit)


@fault("HTTP-METHOD-1", bindings=HTTP)
def methods_make_no_difference() -> None:
    """A PUT of an operation performs it."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Transport) -> Outcome | None:
        if request.method == "PUT":
            request.method = "POST"
        response: Outcome | None = original(self, request, transport)
        return response


@fault("HTTP-METHOD-1", bindings=HTTP)
def a_refused_method_is_performed() -> None:
    """A DELETE of an operation is refused, but performed."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Transport) -> Outcome | None:
        is_operation = self._application.operations.is_operation(request.path)
        if request.method == "DELETE" and request.body and is_operation:
            self._perform(request, transport)
        response: Outcome | None = original(self, request, transport)
        return response


@fault("HTTP-METHOD-3", bindings=HTTP)
def what_is_read_may_be_posted() -> None:
    """A POST of the capabilities or of a topic is answered as its GET is."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Any:
        outcome = original(self, request, transport)
        if request.method == "POST" and outcome is not None and outcome.status == 405:
            return original(self, msgspec.structs.replace(request, method="GET"), transport)
        return outcome


@fault("HTTP-METHOD-2", bindings=HTTP)
def a_refused_method_is_not_told_which_are_allowed() -> None:
    """A 405 has no `Allow`."""
    _edit_responses(
        lambda _binding, _request, response: (
            msgspec.structs.replace(response, allow="") if response.status == 405 else response
        )
    )


@fault("HTTP-LENGTH-1", bindings=HTTP)
def a_body_without_a_length_is_what_has_come() -> None:
    """The body of a POST without a length is the rest of the octets that came with its head."""
    _before_parsing(_give_length)


@fault("HTTP-LENGTH-1", bindings=HTTP)
def of_two_lengths_the_first_counts() -> None:
    """A POST with two lengths that differ is served by the first one."""
    _before_parsing(_drop_second_length)


def _before_parsing(change: Any) -> None:
    """Have `change(head, rest)` give the octets of a request whose head is complete."""

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        head, end, rest = data.partition(b"\r\n\r\n")
        if self.is_between_requests and end and head.startswith(b"POST "):
            data = change(head, rest)
        return original(self, data, now)


def _give_length(head: bytes, rest: bytes) -> bytes:
    if b"content-length:" not in head.lower() and b"transfer-encoding:" not in head.lower():
        head += b"\r\nContent-Length: %d" % len(rest)
    return head + b"\r\n\r\n" + rest


def _drop_second_length(head: bytes, rest: bytes) -> bytes:
    lines = head.split(b"\r\n")
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    for line in lengths[1:]:
        lines.remove(line)
    return b"\r\n".join(lines) + b"\r\n\r\n" + rest


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def chunks_are_refused() -> None:
    """A body in chunks is refused by 411."""

    @wrap(RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if any(name == "transfer-encoding" for name, _ in self._headers):
            self._refuse(responses.problem(411, "length-required", "Send Content-Length."))


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def only_the_first_chunk_is_read() -> None:
    """Only the first chunk of a chunked body is read."""

    @wrap(RequestReader, "on_body")
    def on_body(original: Any, self: RequestReader, part: bytes) -> None:
        is_chunked = any(name == "transfer-encoding" for name, _ in self._headers)
        if not (is_chunked and self._body):
            original(self, part)


@fault("HTTP-SIZE-1", bindings=HTTP)
def a_body_may_have_one_octet_more() -> None:
    """The limit of bodies is one octet above the declared one."""

    @wrap(RequestReader, "__init__")
    def begin(original: Any, self: RequestReader, settings: Any) -> None:
        original(self, settings)
        self._settings = msgspec.structs.replace(settings, body_bytes=settings.body_bytes + 1)


@fault("HTTP-SIZE-2", bindings=HTTP)
def a_large_body_is_a_bad_request() -> None:
    """A body over the limit is refused by 400."""
    _edit_refusals(413, responses.problem(400, "body-too-large", "The body is too large."))


@fault("HTTP-HEADERS-1", bindings=HTTP)
def headers_have_no_limit() -> None:
    """Headers have no limit of number or size."""

    @wrap(RequestReader, "__init__")
    def begin(original: Any, self: RequestReader, settings: Any) -> None:
        original(self, settings)
        self._settings = msgspec.structs.replace(settings, headers=10**9, header_bytes=10**9)


@fault("HTTP-HEADERS-2", bindings=HTTP)
def large_headers_are_a_bad_request() -> None:
    """Headers over a limit are refused by 400."""
    _edit_refusals(431, responses.problem(400, "headers-too-large", "The headers are too large."))


@fault("HTTP-KEEP-1", bindings=HTTP)
def every_reply_ends_its_connection() -> None:
    """The server closes the connection after each reply, and says so."""

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        requests, refusal = original(self, data, now)
        for request in requests:
            request.keep_alive = False
        return requests, refusal


@fault("HTTP-PIPE-1", bindings=HTTP)
def what_came_last_is_answered_first() -> None:
    """Pipelined requests are answered in reverse order."""

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        requests, refusal = original(self, data, now)
        return requests[::-1], refusal


@fault("HTTP-PIPE-1", bindings=HTTP)
def what_comes_behind_a_request_is_lost() -> None:
    """Only the first of several pipelined requests is answered."""

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        requests, refusal = original(self, data, now)
        return requests[:1], refusal
