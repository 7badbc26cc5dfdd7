"""Socket of a connection as `websocket-client` uses it during the upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.wire.connection import Connection


class UpgradeSocket:
    """Hands the head of the reply to the library line by line.

    The library asks for single octets until it gets a line feed, at a cost of more than all the rest of a connection.
    It joins what it gets, so a line may come as two parts: all before the line feed, and the line feed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rest = b""
        self._is_in_head = True

    def recv(self, size: int) -> bytes:
        """Octets of the reply, b"" at the end of the stream; in the head a whole line, or its line feed.

        Raises as `Connection.recv` does.
        """
        if self._rest:
            line_feed, self._rest = self._rest, b""
            return line_feed
        if not self._is_in_head:
            return self._connection.recv(size)
        line = self._connection.makefile().readline()
        self._is_in_head = bool(line.strip())
        if len(line) > 1 and line.endswith(b"\n"):
            line, self._rest = line[:-1], b"\n"
        return line

    def send(self, octets: bytes) -> int:
        """Send all octets; returns their number. Raises as `Connection.sendall` does."""
        return self._connection.send(octets)

    def gettimeout(self) -> float:
        """Timeout in seconds; the library only tests it for zero."""
        return self._connection.gettimeout()

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._connection.close()
