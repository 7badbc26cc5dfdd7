"""STOMP frames, and a strict reader of those that servers send.

The reader takes octets in any grouping and returns whole frames. Octets that break the grammar of the session's
version raise `BadFrame` with the broken clause. The reader accepts all that the text leaves open: line ends before
the first frame and between frames, any order of headers, repeated and unknown headers, CR LF in 1.2, a body with or
without `content-length`.

Until CONNECTED names the version, and on sessions without CONNECT, the reader applies only the rules that all
versions have in common.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.wire.cutting import cut_repr
from conformance.wire.encoding import ESCAPED, LITERAL_COMMANDS, is_utf8, unescape
from conformance.wire.failures import TooLong, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

SERVER_COMMANDS = frozenset({"CONNECTED", "MESSAGE", "RECEIPT", "ERROR"})
#: Longest frame that the reader accepts, in octets, where the suite has sent nothing long itself.
FRAME_LIMIT = 4 << 20
#: Digits of a content-length that is a number of octets at all.
_DIGITS = 8
#: Longest head, in octets, and most headers: a MESSAGE may have those of a SEND of the tests of limits.
HEAD_LIMIT = 5 << 20
HEADERS_LIMIT = 300_000
#: The same for CONNECTED, which repeats nothing that a client has sent.
CONNECTED_HEAD_LIMIT = 64 << 10
#: Memory that the frames of one call of `feed` may take, in bytes.
FEED_LIMIT = 16 << 20
#: Octets of a frame that are kept as they were on the wire.
OCTETS_KEPT = 64 << 10

_NUL = 0
_LF = 10
_CR = 13
_EXCERPT = 200
_LINE_ENDS = re.compile(rb"\n*")
_LINE_ENDS_WITH_CR = re.compile(rb"(?:\r?\n)*")
#: Memory of a frame and of a header, in bytes, besides their octets.
_FRAME_COST = 300
_HEADER_COST = 200


class BadFrame(Violation):
    """Octets of the server that break the grammar; `before` holds the whole frames that preceded them."""

    def __init__(self, clause: str, expected: object, observed: object) -> None:
        super().__init__(clause, expected, observed)
        self.before: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """One STOMP frame; header names and values are decoded, in the order of the wire, repeated ones included.

    `octets` is the frame as it was on the wire, NUL included, cut at OCTETS_KEPT; empty for a frame that did not come
    from the wire.
    """

    command: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    octets: bytes = field(default=b"", compare=False, repr=False)

    def get(self, name: str) -> str | None:
        """First value of a header, or None (STOMP-REPEAT-001)."""
        for header, value in self.headers:
            if header == name:
                return value
        return None

    @property
    def cost(self) -> int:
        """Memory that the frame takes, in bytes, about."""
        return _FRAME_COST + _HEADER_COST * len(self.headers) + len(self.body) + 2 * len(self.octets)

    def all(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [value for header, value in self.headers if header == name]


@dataclass(slots=True)
class _Head:
    """Command and headers of a frame whose body is still incomplete."""

    command: str
    headers: tuple[tuple[str, str], ...]
    rules: str | None
    body: int
    length: int | None


class FrameSplitter:
    """Splits octets of a server into frames, by the rules of the session's version.

    `version` is None until known; a CONNECTED sets it for all later frames (STOMP-NEG-002).
    """

    def __init__(self, version: str | None = None) -> None:
        self.version = version
        self.frame_limit, self.feed_limit = FRAME_LIMIT, FEED_LIMIT
        self._buffer = bytearray()
        self._searched = 0
        self._head: _Head | None = None

    @property
    def unfinished(self) -> bytes:
        """Octets of an incomplete frame."""
        return bytes(self._buffer)

    def feed(self, octets: bytes) -> list[Frame]:
        """Frames that these octets complete.

        Raises BadFrame at octets that break the grammar, TooLong at a frame or head beyond the limits of this module.
        After TooLong nothing is kept of what was not returned.
        """
        self._buffer += octets
        frames: list[Frame] = []
        try:
            self._read_whole(frames)
        except BadFrame as bad:
            bad.before = tuple(frames)
            raise
        except TooLong:
            self._buffer.clear()
            self._head, self._searched = None, 0
            raise
        return frames

    def _read_whole(self, frames: list[Frame]) -> None:
        """Move the whole frames of the buffer to `frames`."""
        cost = 0
        while frame := self._next():
            frames.append(frame)
            cost += frame.cost
            if cost > self.feed_limit:
                raise TooLong("fewer frames at once", f"{len(frames)}, and more behind them")
        if len(self._buffer) > self.frame_limit:
            raise TooLong(f"frames of at most {self.frame_limit} octets", f"{len(self._buffer)} and no end")

    def _next(self) -> Frame | None:
        if self._head is None and not self._skip_line_ends():
            return None
        head = self._head or self._read_head()
        end = self._end_of_body(head) if head else None
        if head is None or end is None:
            self._head = head
            return None
        frame = Frame(
            head.command,
            head.headers,
            bytes(memoryview(self._buffer)[head.body : end]),
            bytes(memoryview(self._buffer)[: min(end + 1, OCTETS_KEPT)]),
        )
        if frame.body and head.command in ("CONNECTED", "RECEIPT") and head.rules in ESCAPED:
            raise self._bad("STOMP-BODY-001", f"no body in {head.command}")
        del self._buffer[: end + 1]
        self._head, self._searched = None, 0
        if head.command == "CONNECTED":
            self.version = head.rules
        return frame

    # Between frames

    def _skip_line_ends(self) -> bool:
        """Drop line ends between frames (STOMP-ABNF-005); True if octets are left to read."""
        buffer, allows_cr = self._buffer, self._allows_cr(self.version)
        ends = (_LINE_ENDS_WITH_CR if allows_cr else _LINE_ENDS).match(buffer)
        position = ends.end() if ends else 0
        octet = buffer[position] if position < len(buffer) else None
        # A CR at the end of the octets is kept: its LF may still come.
        if octet == _CR and allows_cr and position + 1 < len(buffer):
            raise self._bad("STOMP-ABNF-001", "LF after CR between frames")
        if octet == _NUL or (octet == _CR and not allows_cr):
            raise self._bad("STOMP-ABNF-001", "nothing but line ends between frames")
        del buffer[:position]
        return bool(buffer) and buffer[0] != _CR

    # The head

    def _read_head(self) -> _Head | None:
        """Command and headers; None while the empty line has not come."""
        end, body = self._end_of_head()
        nul = self._buffer.find(_NUL, self._searched, len(self._buffer) if end < 0 else end)
        if nul >= 0:
            raise self._bad("STOMP-ABNF-001", "an empty line before the body and its NUL")
        self._check_head(len(self._buffer) if end < 0 else end)
        if end < 0:
            self._searched = max(0, len(self._buffer) - 2)  # a CR LF pair may be cut in two
            return None
        octets = bytes(memoryview(self._buffer)[:end])
        command, *lines = self._lines(octets)
        rules = _version_of(lines) if command == "CONNECTED" else self.version
        if command.endswith("\r") or (rules in ("1.0", "1.1") and octets.startswith(b"CONNECTED\r")):
            raise self._bad("STOMP-ABNF-001", f"LF alone as line end in STOMP {rules}")
        if command not in SERVER_COMMANDS:
            raise self._bad("STOMP-ABNF-002", f"one of {', '.join(sorted(SERVER_COMMANDS))}")
        if rules in ESCAPED and not is_utf8(octets):
            raise self._bad("STOMP-ENC-001", "a command and headers in UTF-8")
        headers = tuple(self._header(line, command, rules) for line in lines)
        return _Head(command, headers, rules, body, self._length(headers, rules))

    def _check_head(self, size: int) -> None:
        """Raises TooLong if a head, of which `size` octets have come, is too long or has too many headers."""
        is_connected = self._buffer.startswith(b"CONNECTED")
        limit = CONNECTED_HEAD_LIMIT if is_connected else HEAD_LIMIT
        if size > limit:
            what = "CONNECTED" if is_connected else "a frame"
            raise TooLong(
                f"at most {limit} octets as the head of {what}",
                f"a head of {size} octets: {self._excerpt()}",
            )
        if size > HEADERS_LIMIT and self._buffer.count(b"\n", 0, size) > HEADERS_LIMIT:
            raise TooLong(f"at most {HEADERS_LIMIT} headers in a frame", "more than that")

    def _end_of_head(self) -> tuple[int, int]:
        """Positions of the end of the last header line and of the body; (-1, -1) before the empty line has come."""
        buffer = self._buffer
        end = buffer.find(b"\n\n", self._searched)
        if self._allows_cr(self.version):
            # The LF that ends it may be the first of the two found above, if the body begins with an LF.
            crooked = buffer.find(b"\n\r\n", self._searched, len(buffer) if end < 0 else end + 1)
            if crooked >= 0:
                return crooked, crooked + 3
        return (end, end + 2) if end >= 0 else (-1, -1)

    def _lines(self, octets: bytes) -> list[str]:
        lines = octets.decode("utf-8", "surrogateescape").split("\n")
        if b"\r" in octets and self._allows_cr(self.version):
            lines = [line.removesuffix("\r") for line in lines]
        return lines

    def _header(self, line: str, command: str, rules: str | None) -> tuple[str, str]:
        name, colon, value = line.partition(":")
        if not colon or not name:
            raise self._bad("STOMP-ABNF-001", "header lines of the form name:value", line)
        if command in LITERAL_COMMANDS:
            return name, value
        if (rules in ESCAPED and ":" in value) or (rules == "1.2" and "\r" in line):
            raise self._bad("STOMP-ABNF-004", "colons and CRs escaped in headers", line)
        if "\\" not in line:
            return name, value
        try:
            return unescape(name, rules), unescape(value, rules)
        except ValueError as error:
            if rules is None:
                return name, value  # in 1.0 a backslash is a backslash
            raise self._bad("STOMP-ENC-004", f"escape pairs of STOMP {rules}", line) from error

    def _length(self, headers: tuple[tuple[str, str], ...], rules: str | None) -> int | None:
        for name, value in headers:
            if name == "content-length":
                # The examples of STOMP 1.0 pad header values, and its implementations trim them.
                digits = value.strip(" ") if rules in (None, "1.0") else value
                if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS:
                    return int(digits)
                raise self._bad("STOMP-ABNF-001", "the number of the body's octets as content-length", value)
        return None

    # The body

    def _end_of_body(self, head: _Head) -> int | None:
        """Position of the NUL that ends the frame; None while it has not come."""
        if head.length is None:
            nul = self._buffer.find(_NUL, max(head.body, self._searched))
            self._searched = len(self._buffer)
            return nul if nul >= 0 else None
        end = head.body + head.length
        if end >= len(self._buffer):
            return None
        if self._buffer[end] != _NUL:
            counted = bytes(self._buffer[head.body : end])
            # A server that counts characters falls short, and its part of the body has a non-ASCII octet.
            clause = "STOMP-ABNF-001" if counted.isascii() else "STOMP-CLEN-006"
            raise self._bad(clause, f"NUL after a body of content-length {head.length}")
        return end

    @staticmethod
    def _allows_cr(version: str | None) -> bool:
        return version in (None, "1.2")

    def _bad(self, clause: str, expected: str, text: str | None = None) -> BadFrame:
        """Exception for `text` in the frame at the front of the buffer."""
        excerpt = self._excerpt()
        return BadFrame(clause, expected, excerpt if text is None else f"{text!r} in {excerpt}")

    def _excerpt(self) -> str:
        return cut_repr(bytes(memoryview(self._buffer)[: _EXCERPT + 1]), _EXCERPT)


def _version_of(lines: Iterable[str]) -> str:
    """Version that a CONNECTED announces: 1.0 without a header `version`, 1.2 for an unknown one."""
    for line in lines:
        name, _, value = line.partition(":")
        if name == "version":
            return value if value in ("1.0", "1.1") else "1.2"
    return "1.0"
