"""STOMP over plain TCP: the octets of the connection are those of STOMP (`spec/tcp.md`)."""


class Stream:
    """The counterpart of a WebSocket channel where nothing lies between TCP and STOMP."""

    is_over = is_too_big = is_incomplete = False
    held = 0

    def write(self, items: list[bytes]) -> bytes:
        """Return frames and heart-beats as they are."""
        return b"".join(items)

    def receive(self, data: bytes) -> bytes:
        """Return the octets as they came: segments mean nothing (TCP-SEGMENTS-1, TCP-SEGMENTS-2)."""
        return data

    def replies(self) -> list[bytes]:
        """Return nothing: below STOMP there is nothing to answer."""
        return []

    def close(self, code: int) -> list[bytes]:
        """Return nothing: the end of TCP behind the last frame is the close (TCP-ERROR-1)."""
        return []
