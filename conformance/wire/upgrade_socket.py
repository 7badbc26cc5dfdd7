"""Socket of a connection as `websocket-client` uses it during the upgrade."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.wire.connection import Connection

#: Status line of an interim reply. 101, which ends an upgrade, is none.
_INTERIM = re.compile(rb"HTTP/\d\.\d 1(?!01)\d\d(?=\s)")


class UpgradeSocket:
    """Hands the head of the reply to the library line by line.

    The library asks for single octets until it gets a line feed, at a cost of more than all the rest of a connection.
    It joins what it gets, so a line may come as two parts: all before the line feed, and the line feed.

    Of what HTTP allows in a head, the library takes interim replies (1xx) for the reply, and neither values in Latin-1
    nor folded ones (RFC 9110, sections 5.5 and 15.2; RFC 9112, section 5.2): here they are left out, and rewritten.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parts: deque[bytes] | None = None

    def recv(self, size: int) -> bytes:
        """Octets of the reply, b"" at the end of the stream; in the head a whole line, or its line feed.

        Raises as `Connection.recv` does.
        """
        if self._parts is None:
            self._parts = deque(part for line in self._head() for part in _parts_of(line))
        if self._parts:
            return self._parts.popleft()
        return self._connection.recv(size)

    def _head(self) -> list[bytes]:
        """Lines of the head behind the interim replies, or up to the end of the stream."""
        stream = self._connection.makefile()
        lines: list[bytes] = []
        while line := stream.readline():
            if lines and line[:1] in (b" ", b"\t") and line.strip():
                lines[-1] = lines[-1].rstrip(b"\r\n") + b" " + line.lstrip(b" \t")
                continue
            lines.append(line)
            if not line.strip():
                if not _INTERIM.match(lines[0]):
                    break
                lines.clear()
        return [_in_utf8(line) for line in lines]

    def send(self, octets: bytes) -> int:
        """Send all octets; returns their number. Raises as `Connection.sendall` does."""
        return self._connection.send(octets)

    def gettimeout(self) -> float:
        """Timeout in seconds; the library only tests it for zero."""
        return self._connection.gettimeout()

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._connection.close()


def _parts_of(line: bytes) -> list[bytes]:
    return [line[:-1], b"\n"] if len(line) > 1 and line.endswith(b"\n") else [line]


def _in_utf8(line: bytes) -> bytes:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1").encode("utf-8")
    return line
