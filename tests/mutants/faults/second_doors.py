"""Faults of HTTP and WebSocket in a second rewrite: what RFC 9110, 9112 and 6455 let a client write.

Their models are public reports on servers that read requests with expressions of their own, on lists of subprotocols
that are cut at a comma and a blank, and on control frames that come alone, empty or between fragments.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from websockets.frames import Opcode

from reference_server.server import connection, websocket
from reference_server.server.guard import Guard
from reference_server.server.http import HttpBinding
from reference_server.server.requests import BadRequest, RequestReader
from reference_server.server.responses import problem
from reference_server.server.websocket import Channel, Control
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.queue.outcomes import Outcome
    from reference_server.server.requests import Request

_CHUNKED = re.compile(rb"\r\nTransfer-Encoding:[ \t]*([^\r]*)\r\n", re.IGNORECASE)
_TRAILER = re.compile(rb"\r\n0\r\n[^\r\n]+:")


def _refuse_octets(is_bad: Callable[[bytes], object]) -> None:
    @wrap(RequestReader, "_parse")
    def parse(original: Any, self: RequestReader, data: bytes) -> None:
        if is_bad(data):
            raise BadRequest
        original(self, data)


# Requests


@fault("HTTP-EXPECT-1", "HTTP-POST-1", bindings=HTTP)
def an_expectation_is_refused() -> None:
    """A request with `Expect: 100-continue`, as curl sends it with a larger body, is refused by 417."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        if "expect" in request.fields:
            return problem(417, "expectation-failed", "Send no Expect.")
        outcome: Outcome | None = original(self, request, transport)
        return outcome


@fault("HTTP-EXPECT-1", "HTTP-POST-1", bindings=HTTP)
def who_waits_for_100_waits_for_ever() -> None:
    """A client that waits for 100 before it sends its body gets nothing."""
    connection._CONTINUE = b""


@fault("HTTP-POST-1", "HTTP-CHUNKED-1", bindings=HTTP)
def a_blank_follows_the_colon_of_a_header() -> None:
    """A header of a request without a blank behind its colon is not seen: lines are cut at a colon and a blank."""

    @wrap(RequestReader, "_parse")
    def parse(original: Any, self: RequestReader, data: bytes) -> None:
        if re.search(rb"\r\n(?i:content-length):[0-9]", data):
            raise BadRequest
        original(self, data)


@fault("HTTP-POST-1", "HTTP-LENGTH-1", bindings=HTTP)
def blanks_behind_a_header_belong_to_its_value() -> None:
    """A Content-Length with a blank behind its number is refused."""
    _refuse_octets(re.compile(rb"\r\n(?i:content-length):[ \t]*[0-9]+[ \t]+\r\n").search)


@fault("HTTP-OWS-1", bindings=HTTP)
def a_tab_behind_a_length_belongs_to_it() -> None:
    """A Content-Length with a tab behind its number is refused, as by the parser of Node.js 20."""
    _refuse_octets(re.compile(rb"\r\n(?i:content-length):[ \t]*[0-9]+[ ]*\t").search)


@fault("HTTP-LENGTH-1", bindings=HTTP)
def a_length_may_have_a_sign() -> None:
    """`Content-Length: +41` is 41: the number is read by the library of the language."""

    @wrap(RequestReader, "_parse")
    def parse(original: Any, self: RequestReader, data: bytes) -> None:
        original(self, re.sub(rb"(\r\n(?i:content-length):[ \t]*)\+", rb"\1", data))


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def the_word_chunked_has_a_case() -> None:
    """`Transfer-Encoding: Chunked` is unknown."""

    def is_odd(data: bytes) -> bool:
        found = _CHUNKED.search(data)
        return found is not None and found.group(1) != b"chunked"

    _refuse_octets(is_odd)


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def chunks_have_no_trailer() -> None:
    """A header behind the last chunk is malformed: an empty line has to follow."""
    _refuse_octets(_TRAILER.search)


@fault("HTTP-KEEP-1", "HTTP-CHUNKED-1", "HTTP-PIPE-1", bindings=HTTP)
def a_chunked_body_ends_its_connection() -> None:
    """The connection is reset behind the answer to a body in chunks: what follows the last chunk is never read."""

    @wrap(RequestReader, "on_message_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if "transfer-encoding" in self._fields and self._requests:
            self._requests[-1].keep_alive = False


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def a_body_has_sixteen_chunks() -> None:
    """A body in more than sixteen chunks is refused."""

    @wrap(RequestReader, "on_body")
    def on_body(original: Any, self: RequestReader, part: bytes) -> None:
        original(self, part)
        if "transfer-encoding" in self._fields and len(self._body) > 16:
            raise BadRequest


@fault("HTTP-POST-1", bindings=HTTP)
def media_types_have_a_case() -> None:
    """`Application/JSON` is another media type than `application/json`."""

    @wrap(Guard, "check_body")
    def check(original: Any, self: Guard, request: Request) -> Any:
        if not request.fields.get("content-type", "application/json").startswith("application/json"):
            return problem(415, "media-type", "Send Content-Type: application/json.")
        return original(self, request)


@fault("HTTP-POST-1", "HTTP-SIZE-1", bindings=HTTP)
def the_largest_body_is_refused() -> None:
    """A body with as many octets as the limit says is refused."""

    @wrap(RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if self._fields.get("content-length") == str(self._settings.body_bytes):
            self._refuse(self._body_too_large())


@fault("HTTP-METHOD-1", bindings=HTTP)
def a_put_with_a_body_is_performed() -> None:
    """A PUT of an operation is refused after it was performed, if it has its body."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        if request.method == "PUT" and request.body:
            request.method = "POST"
            original(self, request, transport)
            request.method = "PUT"
        outcome: Outcome | None = original(self, request, transport)
        return outcome


@fault("HTTP-METHOD-1", bindings=HTTP)
def a_method_may_be_overridden() -> None:
    """A GET with the header `X-HTTP-Method-Override: POST`, or a HEAD, performs an operation that has no body."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        if request.method in ("GET", "HEAD") and request.body:
            request.method = "POST"
        outcome: Outcome | None = original(self, request, transport)
        return outcome


@fault("HTTP-PIPE-1", bindings=HTTP)
def the_hundredth_request_in_a_row_is_lost() -> None:
    """Of requests that come in one piece those behind the 64th are not answered."""

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        requests, refusal = original(self, data, now)
        return requests[:64], refusal


@fault("HTTP-KEEP-1", "HTTP-PIPE-1", bindings=HTTP)
def what_comes_behind_a_waiting_poll_is_dropped() -> None:
    """A request that comes while a poll of its connection waits is not answered."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, request, transport)
        if b"wait_seconds" in request.body and outcome is not None and outcome.status in (200, 204):
            request.keep_alive = False
        return outcome


# The upgrade


@fault("STOMP-WS-001", bindings=WEBSOCKET)
def subprotocols_are_cut_at_a_comma_and_a_blank() -> None:
    """`v11.stomp,v12.stomp` without a blank is one unknown subprotocol."""

    @wrap(websocket, "shake_hands")
    def shake(original: Any, headers: Any) -> Any:
        kept = [(n, v) for n, v in headers if n != "sec-websocket-protocol" or not re.search(",(?! )", v)]
        return original(kept)

    connection.shake_hands = websocket.shake_hands


@fault("WEBSOCKET-UPGRADE-1", bindings=WEBSOCKET)
def an_upgrade_that_offers_compression_is_refused() -> None:
    """An upgrade with `Sec-WebSocket-Extensions`, which every browser sends, is refused."""

    @wrap(RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if self._is_upgrade and "sec-websocket-extensions" in self._fields:
            self._is_upgrade, self._is_declined = False, True


@fault("QSTOMP-ENDPOINT-1", bindings=STOMP)
def an_upgrade_with_a_query_finds_no_endpoint() -> None:
    """`/stomp?token=1` is another path than `/stomp`."""

    @wrap(RequestReader, "on_message_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if self._requests and self._requests[-1].is_upgrade and self._requests[-1].query:
            self._requests[-1].path += "?"


# WebSocket frames


def _on_control(opcode: Opcode, act: Callable[[Channel, bytes], bytes | None]) -> None:
    """Let `act(channel, frame)` choose the octets of each control frame of that kind; None: it is dropped."""

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        if octets and octets[0] & 15 == opcode:
            changed = act(self, octets)
            return True if changed is None else bool(original(self, changed, messages))
        return bool(original(self, octets, messages))


@fault("STOMP-WS-021", bindings=WEBSOCKET)
def an_empty_ping_gets_no_pong() -> None:
    """A ping without data is not answered."""
    _on_control(Opcode.PING, lambda _channel, octets: octets if octets[1] & 127 else None)


@fault("STOMP-WS-021", bindings=WEBSOCKET)
def a_ping_of_125_octets_gets_no_pong() -> None:
    """A ping with the most data that one may have is not answered: the end is exclusive."""
    _on_control(Opcode.PING, lambda _channel, octets: octets if octets[1] & 127 < 125 else None)


@fault("STOMP-WS-021", bindings=WEBSOCKET)
def a_pong_is_text() -> None:
    """The data of a ping comes back as far as it is ASCII; other octets become question marks."""

    @wrap(Channel, "replies")
    def replies(original: Any, self: Channel) -> list[bytes]:
        found: list[bytes] = original(self)
        return [
            Control(each[:2] + bytes(octet if octet < 128 else 63 for octet in each[2:]))
            if each[0] == 0x8A
            else each
            for each in found
        ]


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_pong_that_nobody_asked_for_ends_the_connection() -> None:
    """A pong of the client, which some send as a sign of life, is a violation of the protocol."""

    def act(channel: Channel, octets: bytes) -> bytes:
        return bytes([octets[0] & 0x7F]) + octets[1:]

    _on_control(Opcode.PONG, act)


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_pong_between_fragments_belongs_to_the_message() -> None:
    """The data of a pong between two fragments is appended to the message, as a reader with one buffer does it."""

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        done = bool(original(self, octets, messages))
        if octets and octets[0] & 15 == Opcode.PONG and self._fragments:
            mask, data = octets[2:6], octets[6:]
            self._fragments.append(bytes(each ^ mask[i % 4] for i, each in enumerate(data)))
        return done


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def the_mask_goes_on_from_fragment_to_fragment() -> None:
    """A fragment is unmasked from where the mask of the fragment before it ended."""
    places: dict[Channel, int] = {}

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        if octets and octets[0] & 15 == Opcode.CONT and self._fragments and octets[1] & 127 < 126:
            shift = places.get(self, 0) % 4
            mask = octets[2:6]
            turned = mask[shift:] + mask[:shift]
            data = octets[6:]
            plain = bytes(each ^ turned[i % 4] for i, each in enumerate(data))
            octets = octets[:6] + bytes(each ^ mask[i % 4] for i, each in enumerate(plain))
        done = bool(original(self, octets, messages))
        places[self] = sum(map(len, self._fragments))
        return done


@fault("STOMP-WS-014", bindings=WEBSOCKET)
def a_close_between_fragments_is_not_seen() -> None:
    """A Close frame between the fragments of a message is dropped, and the session goes on."""
    _on_control(Opcode.CLOSE, lambda channel, octets: None if channel._fragments else octets)


@fault("STOMP-WS-014", bindings=WEBSOCKET)
def a_close_without_a_code_is_not_seen() -> None:
    """A Close frame without a code is dropped, and the session goes on until the end of the connection."""
    _on_control(Opcode.CLOSE, lambda _channel, octets: octets if octets[1] & 127 else None)


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def the_first_fragment_is_not_empty() -> None:
    """A message whose first fragment is empty is dropped."""
    empty: set[Channel] = set()

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        if octets and octets[0] in (1, 2) and not octets[1] & 127:
            empty.add(self)
        count = len(messages)
        done = bool(original(self, octets, messages))
        if len(messages) > count and self in empty:
            empty.discard(self)
            messages.pop()
        return done


@fault("STOMP-WS-007", "STOMP-WS-008", bindings=WEBSOCKET)
def a_binary_message_has_text_in_it() -> None:
    """The octets of a binary message that are not UTF-8 close the connection, as those of a text message do."""

    @wrap(Channel, "_add")
    def add(original: Any, self: Channel, messages: list[bytes], message: bytes, *, is_text: bool) -> bool:
        is_first = self.is_binary is None
        done = bool(original(self, messages, message, is_text=True))
        if is_first:
            self.is_binary = not is_text
        return done
