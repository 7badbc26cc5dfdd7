"""Connections that carry STOMP, whatever the transport: `WebSocketLink` and `TcpLink` are the two."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from conformance.wire.connection import Connection
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    import ssl
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from conformance.wire.admission import Admission
    from conformance.wire.trace import Direction, Kind, Trace, What

#: Ways to send a frame in two parts.
Parts = Literal["messages", "fragments", "segments"]


@dataclass(frozen=True, slots=True)
class Message:
    """Octets as they came: a whole WebSocket message, fragments joined, or a piece of a TCP stream."""

    kind: Literal["text", "binary", "stream"]
    octets: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """End of a connection: code and reason of the server's Close frame.

    `code` is None without a Close frame, and for a Close frame without a code. `orderly` is True if there was a frame;
    over TCP, if the stream ended without a reset.
    """

    code: int | None = None
    reason: str = ""
    orderly: bool = False


class Link(ABC):
    """One connection to `url`, for octets of STOMP. One thread at a time.

    `patience`, in seconds, bounds every wait without a deadline of its own. Raises Unreachable if no server answers.
    """

    overhead: ClassVar[int]
    """Octets that the transport may put in front of a message."""

    def __init__(
        self,
        url: str,
        where: tuple[str, int],
        trace: Trace | None,
        patience: float,
        *,
        tls: ssl.SSLContext | None,
        interrupted: threading.Event | None,
        admission: Admission | None,
    ) -> None:
        """`where` is host and port; waits raise RunEnded once `interrupted` is set."""
        self.url, self.patience = url, patience
        self.closed: Closed | None = None
        self._trace = trace
        self._label = trace.label("stomp") if trace else ""
        self._held: bytearray | None = None
        self._connection = Connection(
            *where,
            tls=tls,
            patience=patience,
            note=trace.noting(self._label) if trace else None,
            interrupted=interrupted,
            admission=admission,
        )

    # Sending. `receive` reports a server that is gone, after all octets that it has sent.

    @abstractmethod
    def send_octets(self, octets: bytes, *, binary: bool | None = None) -> None:
        """Send octets as one message; `binary` says of which kind, where a transport has kinds."""

    @abstractmethod
    def wire(self, *messages: bytes) -> bytes:
        """Octets on the wire of these messages."""

    @abstractmethod
    def send_pieces(self, pieces: Sequence[bytes], pause: Callable[[], object]) -> None:
        """Send octets of `wire` in several writes; `pause` is called after each."""

    @abstractmethod
    def send_in_two(self, octets: bytes, cut: int, by: Parts, apart: float) -> bool:
        """Send a frame cut after `cut` octets; False, and nothing is sent, if the transport has no such parts.

        The server is given time to read the first part: up to `apart` seconds where it can't show that it has.
        """

    @abstractmethod
    def end_sending(self) -> None:
        """End the client's side in an orderly way; `receive` then returns what is left, and the server's end."""

    @property
    @abstractmethod
    def is_ended_by_peer(self) -> bool:
        """True if a server has to end the connection behind `end_sending`."""

    @contextmanager
    def in_one_write(self) -> Iterator[None]:
        """Send everything of the context at its end, in one write."""
        self._held = bytearray()
        try:
            yield
        finally:
            octets, self._held = bytes(self._held), None
            self._write(octets)

    def _write(self, octets: bytes) -> None:
        if self._held is not None:
            self._held += octets
            return
        try:
            self._connection.sendall(octets)
        except TimeoutError as error:
            raise PeerFailure("a server that reads", f"no progress for {self.patience:g} s") from error
        except OSError:
            pass

    # Receiving

    @abstractmethod
    def receive(self, deadline: float | None = None) -> Message | Closed | None:
        """Next octets, or the end of the connection; None if neither comes by `deadline` (monotonic seconds)."""

    @property
    def sent(self) -> int:
        """Octets that the test of this link has sent, on all its connections; 0 if they are not traced."""
        return self._trace.sent if self._trace else 0

    # Ending

    @abstractmethod
    def close(self) -> None:
        """Close the connection without waiting. May be called twice."""

    def drop(self) -> None:
        """Close the connection without a Close frame."""
        self._ended(self.closed or Closed())

    def cut(self) -> None:
        """Reset the connection as a failing host does: no Close frame, no orderly end of TCP."""
        self._connection.reset()
        self._ended(self.closed or Closed())

    def _ended(self, how: Closed) -> Closed:
        """End the connection."""
        self.closed = how
        self._connection.close()
        return how

    # Trace

    def _record(self, direction: Direction, octets: bytes, kind: Kind = "stomp", **facts: Any) -> None:
        if self._trace:
            self._trace.record(self._label, direction, kind, octets, **facts)

    def _note(self, what: What, **facts: Any) -> None:
        if self._trace:
            self._trace.note(self._label, what, "stomp", **facts)
