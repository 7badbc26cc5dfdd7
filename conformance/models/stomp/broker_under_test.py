"""What the model is run against.

The suite runs it over the wire, the tests of this project on a broker in memory.
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
    """How a frame with a receipt was answered; `is_over`: the connection has ended, or will after the ERROR."""

    granted: bool = False
    error: "Frame | None" = None
    is_over: bool = False

    @property
    def refused(self) -> bool:
        """Whether the server showed that it refused the frame."""
        return self.error is not None or (self.is_over and not self.granted)

    def __str__(self) -> str:
        parts = ["RECEIPT"] if self.granted else []
        if self.error is not None:
            parts.append(f"ERROR {self.error.get('message')!r}")
        if self.is_over:
            parts.append("the end of the connection")
        return ", ".join(parts) or "no answer"


class ModelClient(Protocol):
    """A connection on which a session was opened."""

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended, as far as was read."""
        ...

    def send(self, command: str, headers: "Sequence[tuple[str, str]]", body: bytes = b"") -> None:
        """Send a frame with these headers and no others."""
        ...

    def receive(self, *, wait: bool) -> "Frame | None":
        """The next frame; None where none has come, with `wait` not even within the patience of the world."""
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
        """The version of all sessions, such as "1.2"."""
        ...

    @property
    def redelivers(self) -> bool:
        """Whether a queue delivers again what was not acknowledged when a connection ended (else it may)."""
        ...

    @property
    def keeps(self) -> bool:
        """Whether a queue keeps its messages while it has no subscription (else it may)."""
        ...

    @property
    def findings(self) -> "ServerFindings":
        """What all examples of a run have seen of the server; kept by the model."""
        ...

    @property
    def destination_headers(self) -> "dict[bool, Sequence[tuple[str, str]]]":
        """Headers that SEND and SUBSCRIBE need for a queue (True) and for a topic (False)."""
        ...

    def connect(self) -> ModelClient:
        """Open a session."""
        ...

    def destination(self, *, is_queue: bool) -> str:
        """A destination that nobody used: one that gives a message to one subscriber, or to all."""
        ...

    def wait(self, clients: "Sequence[ModelClient]") -> bool:
        """Wait until something has come on one of the links; False where that took longer than the patience."""
        ...
