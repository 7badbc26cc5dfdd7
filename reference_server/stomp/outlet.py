"""A session as the modules below it see it: subscriptions, the queue binding."""

from typing import Protocol

from reference_server.stomp.errors import ProtocolError


class Outlet(Protocol):
    """The sending side of a session."""

    version: str
    closing: bool
    queue_now: float

    def emit(self, data: bytes) -> None:
        """Send one frame."""

    def grant(self, receipt: str) -> None:
        """Send a RECEIPT."""

    def window_open(self) -> bool:
        """Return whether queues may hand over more output now."""

    def refuse(self, error: ProtocolError) -> None:
        """End the connection with an ERROR."""
