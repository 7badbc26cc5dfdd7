"""Paces at which a client sends several frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.wire.stomp import StompClient

#: All frames in one WebSocket message, or TCP segment; each in a message of its own, all sent at once; one by one.
ONE_MESSAGE, ONE_WRITE, ONE_BY_ONE = "one message", "one write", "one by one"


def send_at_pace(client: StompClient, frames: Sequence[bytes], pace: str) -> None:
    """Send encoded frames at one of the paces. Raises PeerFailure if the connection is closed."""
    if pace == ONE_MESSAGE:
        client.send_octets(b"".join(frames))
    elif pace == ONE_WRITE:
        with client.link.in_one_write():
            for frame in frames:
                client.send_octets(frame)
    else:
        for frame in frames:
            client.send_octets(frame)
