"""One STOMP connection (interface; the behaviour follows)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame

if TYPE_CHECKING:
    from reference_server.stomp.hub import Hub

Parsed = list[Frame | ProtocolError]
"""What `Session.parse` found, in order; a ProtocolError is always the last item."""


class Session:
    """The server's side of one connection."""

    closing: bool
    """True: write the remaining output, then close the connection in an orderly way."""
    stalled: bool
    """True: queues hold messages back until `resume` is called, because much output was handed out."""

    def __init__(self, hub: Hub, *, lenient: bool, subprotocol_version: str | None, now: float) -> None:
        """Open a session; `lenient` for /producer and /consumer, `subprotocol_version` "1.2" for v12.stomp."""
        raise NotImplementedError

    def parse(self, data: bytes) -> Parsed:
        """Split the next octets into frames. Never raises. Call it outside the application lock."""
        raise NotImplementedError

    def handle(self, items: Parsed, now: float, queue_now: float) -> None:
        """Obey the frames. Call it after every `parse`, with an empty list too (any octet is a sign of life)."""
        raise NotImplementedError

    def take_output(self) -> list[bytes]:
        """Hand over what is to be written; each item is one frame or one heart-beat: one WebSocket message."""
        raise NotImplementedError

    def resume(self) -> None:
        """Tell that all output taken so far was written; call it under the lock while `stalled` is true.

        More output may be there afterwards; so: after a flush that emptied the outbox,
        `if session.stalled: with lock: session.resume(); output = session.take_output()`, and flush again.
        """
        raise NotImplementedError

    def fail(self, summary: str, advice: str = "") -> None:
        """End the session from the server's side (shutdown, slow reader): ERROR, then `closing`."""
        raise NotImplementedError

    def lost(self, now: float) -> None:
        """The connection is gone: subscriptions end, unacknowledged messages return, transactions abort."""
        raise NotImplementedError
