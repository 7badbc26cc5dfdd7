"""STOMP client without a thread of its own: it reads only while a caller waits, up to a deadline."""

from __future__ import annotations

import itertools
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.wire import stomper_frames
from conformance.wire.cutting import cut_repr
from conformance.wire.encoding import encode
from conformance.wire.failures import PeerFailure, TooLong, Violation
from conformance.wire.frames import FEED_LIMIT, FRAME_LIMIT, BadFrame, Frame, FrameSplitter
from conformance.wire.headers import Headers, merged_headers
from conformance.wire.link import Closed
from conformance.wire.message_ids import MessageIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.wire.link import Link

#: Memory that the unclaimed frames of a connection may take, in bytes, where the test has sent nothing long itself.
INBOX_LIMIT = 16 << 20
#: Memory in addition, in bytes per octet that the test has sent.
_PER_OCTET = 6
_LOOK_AFTER = INBOX_LIMIT // 16
ARRIVALS_KEPT = 10_000
ERRORS_KEPT = 100
#: Longest wait for the end of a connection that the client has half-closed, in seconds, where nothing demands it.
HALF_CLOSED_SECONDS = 1.5
#: Cost of a frame above which only its beginning is kept among the ERRORs, in bytes.
_WHOLE_ERROR = 64 << 10
#: Numbers in the names of fences.
_fences = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Octets of the server, a WebSocket message or what TCP brought at once; `beat` for a heart-beat.

    `at` is in monotonic seconds, `size` in octets.
    """

    at: float
    size: int
    beat: bool


class StompClient:
    """One STOMP session over `link`, as a client of `version`; it sends frames as given, valid or not.

    Received frames wait in `inbox` until `expect`, `take` or `drain` claims them. Header arguments are a mapping or
    pairs as on the wire; keywords get hyphens for their underscores; None leaves a default header out. Methods that
    read may raise BadFrame or another Violation. One thread at a time.
    """

    def __init__(self, link: Link, version: str = "1.2", *, patience: float | None = None) -> None:
        self.link = link
        self.patience = link.patience if patience is None else patience
        self.inbox: deque[Frame] = deque()
        self.errors: deque[Frame] = deque(maxlen=ERRORS_KEPT)
        self.arrivals: deque[Arrival] = deque(maxlen=ARRIVALS_KEPT)
        self.connected: Frame | None = None
        #: Command of the last frame that was sent by `frame`.
        self.last_command = ""
        self._asked_version = version
        self._splitter = FrameSplitter()
        self._parsed: deque[Frame] = deque()
        self._numbers = itertools.count(1)
        self._ids = MessageIds()
        self._since_look = 0

    @property
    def version(self) -> str:
        """Version of the session; before CONNECTED, and without it, the version that the client asks for."""
        return self._splitter.version or self._asked_version

    @property
    def closed(self) -> Closed | None:
        """End of the connection; None while it is open, as far as was read."""
        return self.link.closed

    @property
    def messages(self) -> list[Frame]:
        """MESSAGE frames in the inbox."""
        return [frame for frame in self.inbox if frame.command == "MESSAGE"]

    @property
    def unfinished(self) -> bytes:
        """Octets of an incomplete frame."""
        return self._splitter.unfinished

    # Sending

    def connect(self, headers: Headers = (), *, command: str = "CONNECT", **more: str | None) -> Frame:
        """Open the session and return CONNECTED. Raises PeerFailure if it doesn't come."""
        host = urlsplit(self.link.url).hostname
        defaults: Headers = {"accept-version": self._asked_version, "host": host}
        self.frame(command, merged_headers(defaults, headers, more))
        self.connected = self.expect("CONNECTED")
        return self.connected

    def send(
        self, destination: str, body: bytes | str = b"", headers: Headers = (), **more: str | None
    ) -> None:
        """SEND a message; if it has a body, with `content-length` unless the caller gives one."""
        octets = body.encode() if isinstance(body, str) else body
        length = str(len(octets)) if octets else None
        defaults: Headers = {"destination": destination, "content-length": length}
        self.frame("SEND", merged_headers(defaults, headers, more), octets)

    def subscribe(self, destination: str, headers: Headers = (), **more: str | None) -> str:
        """SUBSCRIBE, with a new id unless the caller gives one; returns the id, "" if it is left out."""
        defaults: Headers = {"id": f"sub-{next(self._numbers)}", "destination": destination}
        merged = merged_headers(defaults, headers, more)
        self.frame("SUBSCRIBE", merged)
        return dict(merged).get("id", "")

    def unsubscribe(self, identifier: str, headers: Headers = (), **more: str | None) -> None:
        """UNSUBSCRIBE by the id of the subscription."""
        self.frame("UNSUBSCRIBE", merged_headers({"id": identifier}, headers, more))

    def ack(self, message: Frame | str, headers: Headers = (), **more: str | None) -> None:
        """ACK a MESSAGE frame, or a message by its id."""
        self.frame("ACK", merged_headers(self._naming(message), headers, more))

    def nack(self, message: Frame | str, headers: Headers = (), **more: str | None) -> None:
        """NACK a MESSAGE frame, or a message by its id."""
        self.frame("NACK", merged_headers(self._naming(message), headers, more))

    def begin(self, transaction: str, headers: Headers = (), **more: str | None) -> None:
        """BEGIN a transaction."""
        self.frame("BEGIN", merged_headers({"transaction": transaction}, headers, more))

    def commit(self, transaction: str, headers: Headers = (), **more: str | None) -> None:
        """COMMIT a transaction."""
        self.frame("COMMIT", merged_headers({"transaction": transaction}, headers, more))

    def abort(self, transaction: str, headers: Headers = (), **more: str | None) -> None:
        """ABORT a transaction."""
        self.frame("ABORT", merged_headers({"transaction": transaction}, headers, more))

    def disconnect(self, headers: Headers = (), **more: str | None) -> None:
        """DISCONNECT, without waiting for a RECEIPT or the end of the connection."""
        self.frame("DISCONNECT", merged_headers({}, headers, more))

    def frame(self, command: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> None:
        """Send a frame with exactly these headers, escaped by the rules of the session's version."""
        pairs = list(headers)
        octets = stomper_frames.packed(command, pairs, body, self.version)
        self.last_command = command
        self.send_octets(octets or encode(command, pairs, body, self.version))

    def beat(self) -> None:
        """Send a heart-beat."""
        self.send_octets(b"\n")

    def send_octets(self, octets: bytes, *, binary: bool | None = None) -> None:
        """Send octets as one message; over WebSocket a text message if they are UTF-8, unless `binary` is given."""
        self.link.send_octets(octets, binary=binary)

    # Receiving

    def expect(
        self,
        command: str,
        where: Callable[[Frame], bool] | None = None,
        within: float | None = None,
        **headers: str,
    ) -> Frame:
        """Claim the first frame with this command and these headers for which `where` is true.

        Waits `within` seconds (default: the patience). Raises PeerFailure if the frame doesn't come in time, before
        the end of the connection, or before an unexpected ERROR.
        """
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}

        def matches(frame: Frame) -> bool:
            return (
                frame.command == command
                and all(frame.get(name) == value for name, value in wanted.items())
                and (where is None or where(frame))
            )

        for position, frame in enumerate(self.inbox):
            if matches(frame):
                del self.inbox[position]
                return frame
        deadline = self._deadline(within)
        refused = any(frame.command == "ERROR" for frame in self.inbox)
        while not refused and (found := self._next(deadline)):
            if matches(found):
                return found
            self._keep(found)
            refused = found.command == "ERROR"
        described = command + "".join(f" {name}:{value}" for name, value in wanted.items())
        raise PeerFailure(described, self._situation())

    def has_come(
        self,
        command: str,
        where: Callable[[Frame], bool] | None = None,
        within: float | None = None,
        **headers: str,
    ) -> bool:
        """True as soon as `expect` with the same arguments need not wait for the server: the frame has come, or can't
        come any more. False if neither is so within `within` seconds.
        """
        try:
            frame = self.expect(command, where, within, **headers)
        except PeerFailure:
            return self.closed is not None or any(frame.command == "ERROR" for frame in self.inbox)
        self.inbox.appendleft(frame)
        return True

    def receive(self, within: float) -> Frame | None:
        """Claim the next frame; None if none comes within `within` seconds or before the end of the connection."""
        return self.inbox.popleft() if self.inbox else self._next(time.monotonic() + within)

    def fence(self, destination: str | None = None, within: float | None = None) -> None:
        """Return once the server has processed all frames sent before. Raises PeerFailure if no RECEIPT comes.

        The proof is the RECEIPT of a frame without effect (STOMP-RECEIPT-004): an ABORT of an empty transaction or,
        for servers without transactions, a SEND to `destination`.
        """
        # No other session has a fence of that name: on a server that mixes transactions up, fences would fail as well.
        receipt = f"fence-{next(_fences)}"
        if destination is None:
            self.begin(receipt)
            self.abort(receipt, receipt=receipt)
        else:
            self.send(destination, receipt=receipt)
        self.expect("RECEIPT", within=within, receipt_id=receipt)

    def take(self, command: str, where: Callable[[Frame], bool] | None = None) -> list[Frame]:
        """Claim the frames with this command that are in the inbox, without reading."""
        taken = [
            frame for frame in self.inbox if frame.command == command and (where is None or where(frame))
        ]
        self.inbox = deque(frame for frame in self.inbox if frame not in taken)
        return taken

    def drain(self) -> list[Frame]:
        """Claim all frames that have arrived, without waiting."""
        self.listen(0.0)
        frames = list(self.inbox)
        self.inbox.clear()
        return frames

    def listen(self, seconds: float) -> None:
        """Read into the inbox for `seconds`, or until the connection ends."""
        deadline = time.monotonic() + seconds
        while frame := self._next(deadline):
            self._keep(frame)

    def expect_end(self, within: float | None = None) -> Closed:
        """Wait for the server to end the connection. Raises PeerFailure if it doesn't within `within` seconds."""
        deadline = self._deadline(within)
        while frame := self._next(deadline):
            self._keep(frame)
        if self.closed is None:
            raise PeerFailure("the server to end the connection", self._situation())
        return self.closed

    def finish(self) -> None:
        """End the client's side without DISCONNECT, and read to the end. Raises as `read_to_end` does."""
        self.link.end_sending()
        self.read_to_end()

    def read_to_end(self) -> None:
        """Read until the server ends the connection, whose other side the client has ended.

        Raises PeerFailure if it doesn't, over a transport that demands it; over others it is given a moment.
        """
        if self.link.is_ended_by_peer:
            self.expect_end()
            return
        self.listen(min(self.patience, HALF_CLOSED_SECONDS))
        self.link.drop()

    def close(self) -> None:
        """Close the connection without DISCONNECT."""
        self.link.close()

    # Reading

    def _next(self, deadline: float) -> Frame | None:
        """Next frame; None at the deadline or at the end of the connection."""
        while not self._parsed:
            came = self.link.receive(deadline)
            # Frames that arrived by the deadline are still read, but a server that never pauses must not hold us up.
            if came is None or isinstance(came, Closed) or time.monotonic() > deadline + self.patience:
                return None
            beat = not came.octets.strip(b"\r\n")
            self.arrivals.append(Arrival(time.monotonic(), len(came.octets), beat))
            sent = self.link.sent
            self._splitter.frame_limit = FRAME_LIMIT + 2 * sent
            self._splitter.feed_limit = FEED_LIMIT + _PER_OCTET * sent
            try:
                self._parsed.extend(self._splitter.feed(came.octets))
            except BadFrame as bad:
                self._parsed.extend(bad.before)
                raise
            except TooLong:
                self.link.cut()
                raise
        frame = self._parsed.popleft()
        if frame.command == "ERROR":
            self.errors.append(frame if frame.cost <= _WHOLE_ERROR else _beginning(frame))
        elif frame.command == "MESSAGE":
            self._ids.note(frame)
        return frame

    def _keep(self, frame: Frame) -> None:
        self.inbox.append(frame)
        self._since_look += frame.cost
        if self._since_look < _LOOK_AFTER:
            return
        # Frames are claimed in many ways: they are counted anew whenever so many have come that they may be too many.
        self._since_look = 0
        if sum(kept.cost for kept in self.inbox) > INBOX_LIMIT + _PER_OCTET * self.link.sent:
            count = len(self.inbox)
            self.inbox.clear()
            self.link.cut()
            raise TooLong("fewer frames that the client did not ask for", f"{count} of them")

    def _deadline(self, within: float | None) -> float:
        return time.monotonic() + (self.patience if within is None else within)

    def _situation(self) -> str:
        """Newest unclaimed frames and state of the connection, for the message of a failure."""
        lines = [cut_repr(frame.octets, 500) for frame in list(self.inbox)[-5:]]
        if self.closed:
            lines.append(f"{self.closed}")
        if unfinished := self._splitter.unfinished:
            lines.append(f"the beginning of a frame, {cut_repr(unfinished, 500)}")
        return ", ".join(lines) or "nothing"

    def _naming(self, message: Frame | str) -> dict[str, str | None]:
        """Headers that name a message in ACK and NACK of the session's version (STOMP-ACK-002, STOMP-ACK-009).

        Raises Violation if the message has no name, or that of another one.
        """
        if isinstance(message, str):
            return {"id" if self.version == "1.2" else "message-id": message}
        if self.version == "1.2":
            return {"id": _required(message, "ack", "STOMP-MESSAGE-004")}
        if self._ids.is_repeated(message):
            raise Violation(
                "STOMP-MESSAGE-002",
                "a message-id that no other message of the connection has",
                _beginning(message),
            )
        names: dict[str, str | None] = {"message-id": _required(message, "message-id", "STOMP-MESSAGE-002")}
        if self.version == "1.1":
            names["subscription"] = _required(message, "subscription", "STOMP-MESSAGE-003")
        return names


def _beginning(frame: Frame) -> Frame:
    """The frame with the first of its headers and octets."""
    return Frame(frame.command, frame.headers[:100], frame.body[:10_000], frame.octets[:10_000])


def _required(frame: Frame, name: str, clause: str) -> str:
    value = frame.get(name)
    if value is None:
        raise Violation(clause, f"a header {name}", frame)
    return value
