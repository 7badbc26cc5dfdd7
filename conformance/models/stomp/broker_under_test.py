"""Interface to the broker that the model runs against.

The suite implements it over the wire, the project's tests with a broker in memory.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.models.judging import Judge
    from conformance.models.stomp.server_findings import ServerFindings
    from conformance.wire.frames import Frame


@dataclass(frozen=True)
class FrameOutcome:
    """Answer to a frame with a receipt. `is_over`: the connection has ended, or must end after the ERROR."""

    granted: bool = False
    error: "Frame | None" = None
    is_over: bool = False

    @property
    def refused(self) -> bool:
        """True if the server refused the frame, by an ERROR or by ending the connection."""
        return self.error is not None or (self.is_over and not self.granted)

    def __str__(self) -> str:
        parts = ["RECEIPT"] if self.granted else []
        if self.error is not None:
            parts.append(f"ERROR {self.error.get('message')!r}")
        if self.is_over:
            parts.append("the end of the connection")
        return ", ".join(parts) or "no answer"


class ModelClient(Protocol):
    """A client with an open session."""

    @property
    def is_over(self) -> bool:
        """True if the end of the connection was read."""
        ...

    def send(self, command: str, headers: "Sequence[tuple[str, str]]", body: bytes = b"") -> None:
        """Send a frame with these headers and no others, but for a content-length."""
        ...

    def receive(self, *, wait: bool) -> "Frame | None":
        """Return the next frame; None if none has arrived, or, with `wait`, none within the patience."""
        ...

    def end(self, how: str) -> None:
        """End the connection: "close" in an orderly way, "cut" as a failing host does."""
        ...


class BrokerUnderTest(Protocol):
    """A server with plain destinations."""

    @property
    def judge(self) -> "Judge": ...
    @property
    def version(self) -> str:
        """Version of all sessions, such as "1.2"."""
        ...

    @property
    def redelivers(self) -> bool:
        """True if a queue must redeliver unacknowledged messages after the end of a connection; False if it may."""
        ...

    @property
    def keeps(self) -> bool:
        """True if a queue must keep its messages while it has no subscription; False if it may."""
        ...

    @property
    def findings(self) -> "ServerFindings":
        """Findings about the server over all examples of a run; the model updates them."""
        ...

    @property
    def destination_headers(self) -> "dict[bool, Sequence[tuple[str, str]]]":
        """Headers that SEND and SUBSCRIBE need for a queue (True) and for a topic (False)."""
        ...

    def connect(self) -> ModelClient:
        """Open a session."""
        ...

    def destination(self, *, is_queue: bool) -> str:
        """Return the name of a new destination: a queue gives a message to one subscriber, a topic to all."""
        ...

    def wait(self, clients: "Sequence[ModelClient]") -> bool:
        """Wait until a frame or the end arrives on one of the clients; False if none does within the patience."""
        ...
