"""Faults of HTTP and WebSocket in a fourth rewrite: parsers that were written by hand, for the clients at hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httptools
import msgspec

from reference_server.queue import names
from reference_server.server.http import HttpBinding
from reference_server.server.requests import RequestReader
from reference_server.server.responses import problem
from reference_server.server.websocket import Channel
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, fault
from tests.mutants.stomp_editing import WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.queue.outcomes import Outcome
    from reference_server.server.requests import Request


def _refuse_octets(is_bad: Callable[[bytes], object]) -> None:
    @wrap(RequestReader, "_parse")
    def parse(original: Any, self: RequestReader, data: bytes) -> None:
        if is_bad(data):
            raise httptools.HttpParserError("not as expected")
        original(self, data)


@fault("HTTP-POST-1", bindings=HTTP)
def header_names_of_a_request_have_case() -> None:
    """A request whose length is spelled `content-length` or `CONTENT-LENGTH` is refused."""
    _refuse_octets(re.compile(rb"^POST [^\0]*\r\n(content-length|CONTENT-LENGTH|Content-length):").search)


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def sizes_of_chunks_have_small_digits() -> None:
    """The size of a chunk in capital hexadecimal digits is refused."""
    _refuse_octets(re.compile(rb"\r\n[0-9]*[A-F]+[0-9A-F]*\r\n").search)


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def sizes_of_chunks_have_no_leading_zeros() -> None:
    """The size of a chunk that begins with 0 ends the body."""
    _refuse_octets(re.compile(rb"\r\n0+[1-9a-fA-F][0-9a-fA-F]*\r\n").search)


@fault("HTTP-POST-1", bindings=HTTP)
def a_body_comes_in_two_pieces_at_most() -> None:
    """A body that comes in more than two pieces is refused."""
    pieces: dict[int, int] = {}

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        if self._head_is_whole and not self.is_between_requests and self._body_octets:
            pieces[id(self)] = pieces.get(id(self), 0) + 1
            if pieces[id(self)] > 2:
                return [], problem(400, "request-malformed", "The body is not whole.")
        else:
            pieces[id(self)] = 0
        return original(self, data, now)


def _edit_request(edit: Callable[[Request], Request]) -> None:
    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, edit(request), transport)
        return outcome


@fault("NAME-3", "NAME-5", bindings=HTTP)
def a_plus_in_a_path_is_a_blank() -> None:
    """A plus sign in a path is read as a blank."""
    names._NAME = re.compile(r"[A-Za-z0-9._+;=-]+")
    _edit_request(lambda request: msgspec.structs.replace(request, path=request.path.replace("+", " ")))


@fault("NAME-3", "NAME-5", bindings=HTTP)
def a_semicolon_ends_a_path() -> None:
    """A path ends at its first semicolon: the rest is a parameter, as in servlets."""
    names._NAME = re.compile(r"[A-Za-z0-9._+;=-]+")
    _edit_request(lambda request: msgspec.structs.replace(request, path=request.path.partition(";")[0]))


@fault("NAME-1", "NAME-5", bindings=HTTP)
def two_dots_in_a_path_are_refused() -> None:
    """A path with two dots in a row is refused: `/publish/a..b` too."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        if ".." in request.path:
            return problem(400, "request-malformed", "The path leads upwards.")
        outcome: Outcome | None = original(self, request, transport)
        return outcome


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def an_empty_fragment_ends_its_message() -> None:
    """A continuation frame without octets is taken for the last one."""

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        if len(octets) == 6 and octets[0] == 0:
            octets = b"\x80" + octets[1:]
        return bool(original(self, octets, messages))


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def the_mask_goes_on_over_fragments() -> None:
    """The mask of a continuation frame begins where that of the frame before it ended."""

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        if octets[0] & 15 == 0 and len(octets) > 6 and octets[1] & 127 < 126:
            turn = sum(map(len, self._fragments)) % 4
            mask = octets[2:6]
            octets = octets[:2] + mask[turn:] + mask[:turn] + octets[6:]
        return bool(original(self, octets, messages))


@fault("WEBSOCKET-UPGRADE-1", bindings=WEBSOCKET)
def an_upgrade_has_one_word_in_its_connection_header() -> None:
    """An upgrade with `Connection: keep-alive, Upgrade` is refused."""
    _refuse_octets(re.compile(rb"(?i)\r\nconnection:[^\r]*,[^\r]*\r\n").search)
