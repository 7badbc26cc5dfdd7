"""Body of an HTTP reply: its length by RFC 9112, section 6, strictly read, in pieces, and up to a bound.

`http.client` parses the head. Its own reader of bodies takes chunk sizes such as `-5` and `0x5`, and asks for as many
octets at once as a server declares.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.wire.cutting import cut, cut_repr
from conformance.wire.failures import PeerFailure, TooLong

if TYPE_CHECKING:
    import io
    from http.client import HTTPResponse

#: Longest body that the suite reads, in octets: some 60,000 topics in a list.
BODY_LIMIT = 12 << 20
_PIECE = 64 << 10
_LINE_LIMIT = 8 << 10
_TRAILER_LIMIT = 64 << 10
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?\n", re.DOTALL)
_DIGITS = re.compile(r"[0-9]+")
_EXCERPT = 200
#: Digits of a number of octets: any longer one is beyond all bounds, and Python converts no more than 4,300.
_MOST_DIGITS = 18


def read_body(response: HTTPResponse, expected: str, limit: int = BODY_LIMIT) -> bytes:
    """Body of a reply whose head `response` has read; `expected` describes the reply in failures.

    Raises PeerFailure if the connection ends within the body or its length is malformed, TooLong beyond `limit` octets,
    and as `Connection.recv` does.
    """
    reader = _BodyReader(response.fp, expected, limit)
    if response.chunked:
        return reader.chunks()
    declared = response.headers.get_all("content-length", [])
    if response.length == 0 and _number(declared[:1]) != "0":
        return b""  # a reply that has no body by its status or its method: its length doesn't matter
    if not declared:
        return reader.to_end()
    number = _number(declared)
    if number is None:
        raise PeerFailure(expected, f"no HTTP: the content-length {cut(', '.join(declared), _EXCERPT)!r}")
    if len(number) > _MOST_DIGITS:
        raise TooLong(
            f"{expected}, with a body of at most {limit} octets", f"{cut(number, _EXCERPT)} octets or more"
        )
    return reader.exactly(int(number))


def _number(values: list[str]) -> str | None:
    """The number without leading zeros that all values are, also repeated in one (RFC 9110, section 8.6), else None."""
    parts = [part.strip(" \t") for value in values for part in value.split(",")]
    numbers = {part.lstrip("0") or "0" if _DIGITS.fullmatch(part) else None for part in parts}
    return numbers.pop() if len(numbers) == 1 else None


class _BodyReader:
    """Reads one body; methods raise as `read_body` does."""

    def __init__(self, stream: io.BufferedReader, expected: str, limit: int) -> None:
        self._stream, self._expected, self._limit = stream, expected, limit
        self._body = bytearray()

    def exactly(self, size: int) -> bytes:
        """Body of `size` octets."""
        self._extend(size)
        return bytes(self._body)

    def to_end(self) -> bytes:
        """Body that ends with the connection."""
        while piece := self._stream.read1(_PIECE):
            self._body += piece
            self._check(len(self._body))
        return bytes(self._body)

    def chunks(self) -> bytes:
        """Body in chunks."""
        while length := self._chunk_size():
            self._extend(length)
            end = self._stream.read(1)
            if end == b"\r":
                end += self._stream.read(1)
            if end not in (b"\r\n", b"\n"):
                raise PeerFailure(self._expected, f"no HTTP: {end!r} after a chunk of {length} octets")
        self._skip_trailer()
        return bytes(self._body)

    def _chunk_size(self) -> int:
        line = self._stream.readline(_LINE_LIMIT)
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            what = (
                f"the chunk size {cut_repr(line, _EXCERPT)}"
                if line
                else "the end of the connection between chunks"
            )
            raise PeerFailure(self._expected, f"no HTTP: {what}")
        return int(size[1], 16)

    def _extend(self, size: int) -> None:
        """Read `size` more octets."""
        self._check(len(self._body) + size)
        while size > 0:
            piece = self._stream.read1(min(size, _PIECE))
            if not piece:
                raise PeerFailure(
                    self._expected, f"the connection ended after {cut_repr(bytes(self._body), _EXCERPT)}"
                )
            self._body += piece
            size -= len(piece)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise TooLong(
                f"{self._expected}, with a body of at most {self._limit} octets", f"{size} octets or more"
            )

    def _skip_trailer(self) -> None:
        octets = 0
        while (line := self._stream.readline(_LINE_LIMIT)) not in (b"\r\n", b"\n", b""):
            octets += len(line)
            if octets > _TRAILER_LIMIT:
                raise TooLong(f"{self._expected}, with a trailer of at most {_TRAILER_LIMIT} octets", "more")
