"""STOMP frames: a reader that takes pieces of any size, and a writer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSIONS = ("1.2", "1.1", "1.0")
MOST_OCTETS = 1 << 20
_ESCAPES = {"1.0": {}, "1.1": {"n": "\n", "c": ":", "\\": "\\"}}
_ESCAPES["1.2"] = {**_ESCAPES["1.1"], "r": "\r"}
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


class BadFrame(Exception):
    """Octets that are not a STOMP frame."""


@dataclass(frozen=True)
class Frame:
    """A frame of the client; of a header that is repeated, the first value counts."""

    command: str
    headers: dict[str, str]
    body: bytes


class FrameReader:
    """Reader of frames. `version` is that of the session, 1.0 before and without CONNECT (QSTOMP-BARE-1)."""

    def __init__(self) -> None:
        self.version = "1.0"
        self._pending = b""

    def feed(self, octets: bytes) -> None:
        """Add octets. Raises BadFrame if too many of them are not yet a frame."""
        self._pending += octets
        if len(self._pending) > MOST_OCTETS:
            raise BadFrame("the frame is too large")

    def next(self) -> Frame | None:
        """The next frame; None if it is not complete. Raises BadFrame."""
        self._pending = self._pending.lstrip(b"\r\n")
        end = _END_OF_HEAD.search(self._pending)
        nul = self._pending.find(b"\0")
        if nul >= 0 and (end is None or nul < end.start()):
            # `stomper` writes a DISCONNECT without the empty line (QSTOMP-STOMPER-2).
            frame = self._frame(self._pending[:nul], b"")
            self._pending = self._pending[nul + 1 :]
            return frame
        if end is None:
            return None
        head = self._frame(self._pending[: end.start()], b"")
        length = head.headers.get("content-length")
        stop = nul if length is None else end.end() + _length(length)
        if not end.end() <= stop < len(self._pending):
            return None
        if self._pending[stop] != 0:
            raise BadFrame("no NUL where the length says")
        body = self._pending[end.end() : stop]
        self._pending = self._pending[stop + 1 :]
        return Frame(head.command, head.headers, body)

    def _frame(self, head: bytes, body: bytes) -> Frame:
        try:
            command, *lines = head.decode().replace("\r\n", "\n").rstrip("\r\n").split("\n")
        except UnicodeDecodeError:
            raise BadFrame("the headers are not UTF-8") from None
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadFrame("a header without a colon")
            headers.setdefault(self._unescaped(name), self._unescaped(value))
        return Frame(command, headers, body)

    def _unescaped(self, text: str) -> str:
        pairs = _ESCAPES[self.version]
        if not pairs or "\\" not in text:
            return text

        def meant(pair: re.Match[str]) -> str:
            if pair[1] not in pairs:
                raise BadFrame("an unknown escape")
            return pairs[pair[1]]

        return re.sub(r"\\(.?)", meant, text, flags=re.DOTALL)


def written(command: str, headers: Mapping[str, str], body: bytes = b"", version: str = "1.0") -> bytes:
    """The octets of a frame, escaped by the rules of the version."""
    pairs = {meant: f"\\{spelt}" for spelt, meant in _ESCAPES[version].items()}

    def escaped(text: str) -> str:
        return "".join(pairs.get(character, character) for character in text)

    lines = [command, *(f"{escaped(name)}:{escaped(value)}" for name, value in headers.items()), "", ""]
    return "\n".join(lines).encode() + body + b"\0"


def _length(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadFrame("content-length is no number")
    return int(text)
