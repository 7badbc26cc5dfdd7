"""Output of one session, as the modules below the session use it: subscriptions, the queue binding."""

import math
from abc import ABC, abstractmethod

from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.escapes import escape
from reference_server.stomp.frame import Frame, encode

TOO_SLOW = ("too slow", "More output waits than one connection may leave unread. Read faster.")

OPERATION_REFUSED = "operation refused"


class Large(bytes):
    """A frame whose octets go on in `tail`, which is shared with other connections and not copied."""

    tail: bytes


def size_of(data: bytes) -> int:
    """Octets of a frame."""
    return len(data) + len(data.tail) if type(data) is Large else len(data)


class Outlet(ABC):
    """The sending side of a session; `window` is the number of octets in transit up to which queues deliver."""

    def __init__(self, window: int) -> None:
        self.version = "1.0"
        """The negotiated version; before CONNECT nothing is escaped, as in 1.0."""
        self.closing = False
        """True: write the remaining output, then close the connection in an orderly way."""
        self.stalled = False
        """True: queues hold messages back until `resume` is called, because much output was handed out."""
        self.queue_now = 0.0
        """The queue's time in seconds, as of the last input."""
        self.output_bound = math.inf
        """Octets of output that may wait to be taken, before the client counts as too slow."""
        self._output: list[bytes] = []
        self._waiting = 0
        self._outstanding = 0
        self._window = window

    def emit(self, data: bytes) -> None:
        """Send one frame or heart-beat, unless the session is closing."""
        if self.closing:
            return
        output = self._output
        if not output:
            self._touch()
        output.append(data)
        octets = len(data) if type(data) is not Large else size_of(data)
        self._outstanding += octets
        self._waiting += octets
        if self._waiting > self.output_bound:
            self._output = []
            self._waiting = 0
            self.fail(*TOO_SLOW)

    def grant(self, receipt: str) -> None:
        """Send RECEIPT: the frame and all before it were processed (STOMP-RECEIPT-001, -002, -004, -005, -007).

        It has no body (STOMP-BODY-001).
        """
        self.emit(f"RECEIPT\nreceipt-id:{escape(receipt, self.version)}\n\n\0".encode())

    def refuse(self, error: ProtocolError, frame: Frame | None = None) -> None:
        """Send ERROR and end the session (STOMP-ERROR-001 to -006, -008, -009; STOMP-WS-012)."""
        receipt = error.receipt
        headers = [("message", error.summary), *error.headers]
        if frame is not None:
            headers.append(("command", frame.command[:100]))
            receipt = frame.headers.get("receipt") if receipt is None else receipt
        if receipt is not None:
            headers.append(("receipt-id", receipt))
        body = error.advice.encode(errors="replace")
        # STOMP-CTYPE-002, STOMP-CTYPE-003, STOMP-CTYPE-004, STOMP-CLEN-004
        headers += [("content-type", "text/plain"), ("content-length", str(len(body)))]
        self.emit(encode("ERROR", headers, body, version=self.version))
        if error.summary != OPERATION_REFUSED:  # counted by its own cause
            self.note_refusal(error.summary)
        self._end()

    def fail(self, summary: str, advice: str = "") -> None:
        """End the session from here (shutdown, slow reader): ERROR, then `closing` (STOMP-ERROR-007)."""
        if not self.closing:
            self.refuse(ProtocolError(summary, advice))

    def window_open(self) -> bool:
        """Return whether queues may hand over more output now; if not, set `stalled` (STOMP-LIMIT-007)."""
        if self.closing:
            return False
        if self._outstanding < self._window:
            return True
        if not self.stalled:
            self.stalled = True
            # If all was written before, nothing else leads to `resume`.
            self._touch()
        return False

    @abstractmethod
    def note_refusal(self, cause: str, **fields: object) -> None:
        """Count the refusal of a frame, or of an operation."""

    @abstractmethod
    def on_time(self, now: float) -> None:
        """Do what is due at that wall time in seconds."""

    @abstractmethod
    def _touch(self) -> None:
        """Have the I/O layer look at the session after this call."""

    @abstractmethod
    def _end(self) -> None:
        """End the session without further frames; pending output is still written."""
