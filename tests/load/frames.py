"""STOMP frames as masked WebSocket messages, encoded many at a time."""

from __future__ import annotations

import os
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT = 0x81
CLOSE = 0x88
#: Longest payload whose length fits into the second octet of a WebSocket frame (RFC 6455, section 5.2).
SHORT = 125
_ACK_START, _ACK_END = b"ACK\nid:", b"\n\n\0"


def stomp(command: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A STOMP frame; names and values of its headers have nothing that needs an escape."""
    lines = [command, *(f"{name}:{value}" for name, value in headers.items())]
    return "\n".join(lines).encode() + b"\n\n" + body + b"\0"


def masked(payload: bytes, start: int = TEXT) -> bytes:
    """One WebSocket message from a client; `start` is the first octet of its frame."""
    key = os.urandom(4)
    return _head(len(payload), start) + key + _xor(payload, _repeated(key, len(payload)))


def acknowledgements(ids: Sequence[bytes]) -> bytes:
    """ACK frames for these ids, each in a WebSocket message of its own.

    Neighbours with ids of one length are joined and masked in one operation: their mask is one pattern, repeated,
    with zeros in place of the octets that are sent as they are.
    """
    messages = []
    for length, neighbours in groupby(ids, len):
        alike = list(neighbours)
        size = len(_ACK_START) + length + len(_ACK_END)
        key = os.urandom(4)
        head = _head(size, TEXT) + key
        start = head + _ACK_START
        octets = start + (_ACK_END + start).join(alike) + _ACK_END
        messages.append(_xor(octets, (bytes(len(head)) + _repeated(key, size)) * len(alike)))
    return b"".join(messages)


class Supply:
    """A ring of encoded messages of one length, of which any number in a row is one slice."""

    def __init__(self, messages: Sequence[bytes]) -> None:
        if len({len(message) for message in messages}) != 1:
            raise ValueError("the messages of a supply have one length")
        self._count, self._length = len(messages), len(messages[0])
        self._octets = memoryview(b"".join(messages) * 2)  # twice: a slice may run past the end of the ring
        self._next = 0

    def take(self, count: int) -> memoryview:
        """The next `count` messages; no more than the ring has."""
        if count > self._count:
            raise ValueError(f"{count} messages of {self._count}")
        start = self._next
        self._next = (start + count) % self._count
        return self._octets[start * self._length : (start + count) * self._length]


def _head(length: int, start: int) -> bytes:
    if length <= SHORT:
        return bytes((start, 0x80 | length))
    if length < 1 << 16:
        return bytes((start, 0x80 | 126)) + length.to_bytes(2, "big")
    return bytes((start, 0x80 | 127)) + length.to_bytes(8, "big")


def _repeated(key: bytes, length: int) -> bytes:
    return (key * (length // len(key) + 1))[:length]


def _xor(octets: bytes, mask: bytes) -> bytes:
    number = int.from_bytes(octets, "little") ^ int.from_bytes(mask, "little")
    return number.to_bytes(len(octets), "little")
