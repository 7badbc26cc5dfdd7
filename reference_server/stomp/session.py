"""One STOMP connection: its states and the action of each frame in them.

A session is OPENED until CONNECT, LIVE until DISCONNECT, an ERROR or the loss of the connection, and ENDED
after that: further frames are ignored (STOMP-DISCONNECT-003, STOMP-ERROR-002). On the endpoints of the
sample clients it begins BARE instead: there a session without CONNECT is LIVE with its first frame, and goes
by the rules of 1.0.

`TRANSITIONS` at the end of this module is the whole table. An action returns False if the receipt of the frame must
not be granted at once; it raises ProtocolError to end the connection with an ERROR.
"""

import enum
import logging
from collections.abc import Callable

from reference_server.events import tell
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import CONNECTING, Frame, FrameReader
from reference_server.stomp.hub import Hub
from reference_server.stomp.liveness import Liveness
from reference_server.stomp.negotiation import VERSIONS, agree_on_heartbeats
from reference_server.stomp.outlet import Outlet
from reference_server.stomp.subscriptions import Subscriptions
from reference_server.stomp.transactions import Settlement, Transactions

Parsed = list[Frame | ProtocolError]
"""Frames in order; a ProtocolError is always the last item."""


class State(enum.Enum):
    """The states of a session."""

    OPENED = "waiting for CONNECT"
    BARE = "waiting for CONNECT or any frame"
    LIVE = "connected"
    ENDED = "over"


class Session(Outlet):
    """The server's side of one connection."""

    def __init__(self, hub: Hub["Session"], *, lenient: bool, now: float, address: str = "") -> None:
        """`lenient`: the endpoint is one of the sample clients; `address` is the client's."""
        limits = hub.limits
        super().__init__(limits.output_window)
        self.hub = hub
        self.name = hub.name_session()
        self._address = address
        self.liveness = Liveness(limits, now)
        self.subscriptions = Subscriptions(self, limits, hub.router.numbers, hub.router.budget)
        self._enter(State.BARE if lenient and not hub.users else State.OPENED)
        self._reader = FrameReader(limits, lenient=lenient)
        self.is_cut = False
        """True while a part of a WebSocket message has come, whose octets are not here yet."""
        self._transactions = Transactions(limits, hub.router.budget)
        self._schedule()

    def parse(self, data: bytes) -> Parsed:
        """Split the next octets into frames. Never raises. Call it outside the application lock."""
        items: Parsed = [*self._reader.feed(data)]
        return items if self._reader.error is None else [*items, self._reader.error]

    def handle(self, items: Parsed, now: float, queue_now: float) -> None:
        """Process the frames. Call it after every `parse`, also with an empty list (STOMP-HEARTBEAT-007).

        `now` is wall time, `queue_now` the queue's time, both in seconds.
        """
        self.hub.now = now
        self.queue_now = queue_now
        self.liveness.heard_at = now
        for item in items:
            if self.closing:
                return
            if isinstance(item, ProtocolError):
                self.refuse(item)
                return
            try:
                self._process(item)
            except ProtocolError as error:
                self.refuse(error, item)
        self._watch_incomplete(now, whole=bool(items))

    def take_output(self) -> list[bytes]:
        """Return and forget the new output; each item is one frame or heart-beat: one WebSocket message."""
        output, self._output, self._waiting = self._output, [], 0
        if output:
            self.liveness.said_at = self.hub.now
        return output

    def resume(self) -> None:
        """Note that all output taken so far was written; call it under the lock while `stalled` is true.

        More output may be there afterwards; so: after a flush that emptied the outbox,
        `if session.stalled: with lock: session.resume(); output = session.take_output()`, and flush again.
        """
        self.stalled = False
        self._outstanding = 0
        self.subscriptions.wake()

    def lost(self, now: float) -> None:
        """End a session whose connection is gone: unacknowledged messages return, transactions abort.

        A Close frame and a cut are the same here (STOMP-DISCONNECT-005, STOMP-WS-014, STOMP-TX-008).
        """
        self.hub.now = now
        self._end()
        # The session waits for the collector or its last timer; an unfinished frame may be large.
        self._reader = FrameReader(self.hub.limits)
        self._output = []

    def on_time(self, now: float) -> None:
        """Send a heart-beat or end the session of a silent client, if that is due."""
        if self.closing:
            return
        complaint = self.liveness.complaint(now)
        if complaint is not None:
            summary, advice = complaint
            if self._reader.incomplete:
                advice += " No NUL ended the last one: some WebSocket libraries cut it off a text message."
            self.fail(summary, advice)
        elif now >= self.liveness.beat_at:
            # One LF in a message of its own (STOMP-HEARTBEAT-006, STOMP-WS-009).
            self.emit(b"\n")
            self.liveness.said_at = now
        if not self.closing:
            self._schedule()
            self._touch()  # the I/O layer may have kept output back until now

    def note_refusal(self, cause: str, **fields: object) -> None:
        """Count the refusal of a frame, or of an operation."""
        self.hub.events.refused(cause, session=self.name, address=self._address, **fields)

    @property
    def held(self) -> int:
        """Octets of an incomplete frame."""
        return self._reader.held

    def deadline(self) -> float:
        """Wall time in seconds at which `on_time` has work; infinite if it has none."""
        return min(self.liveness.beat_at, self.liveness.expires_at)

    def _schedule(self) -> None:
        self.hub.deadlines.set(self, self.deadline())

    def _enter(self, state: State) -> None:
        self._state = state
        self._served = TRANSITIONS[state]

    def _process(self, frame: Frame) -> None:
        transition = self._served.get(frame.command)
        if transition is None:
            raise self._out_of_place(frame)
        if frame.body and frame.command != "SEND" and self.version != "1.0":  # STOMP-BODY-002
            raise ProtocolError(f"{frame.command} with a body", "Only SEND may carry a body.")
        action, after = transition
        if after is not self._state:
            self._enter(after)
            self.liveness.begun = True
        processed = action(self, frame)
        receipt = frame.headers.get("receipt")
        if processed is not False and receipt is not None:  # STOMP-RECEIPT-003, STOMP-RECEIPT-008
            self.grant(receipt)
        if after is State.ENDED:
            self._end()

    def _out_of_place(self, frame: Frame) -> ProtocolError:
        """The ERROR of a frame without action (STOMP-CMD-001, STOMP-FRAME-007, STOMP-CONNECT-011, -012)."""
        if frame.command in CONNECTING:
            return ProtocolError("already connected", "Open another connection for another session.")
        if self._state is State.OPENED and frame.command in TRANSITIONS[State.LIVE]:
            return ProtocolError("not connected", "Send CONNECT first and wait for CONNECTED.")
        return ProtocolError("unknown command", f"STOMP {self.version} defines no {frame.command[:100]!r}.")

    def _end(self) -> None:
        """Release everything; pending output is still written (STOMP-LINGER-002, STOMP-WS-013)."""
        if self.closing:
            return
        self.closing = True
        self._enter(State.ENDED)
        self._transactions.clear()
        self.hub.router.binding.cancel(self)
        self.subscriptions.clear()
        self.hub.deadlines.remove(self)
        self._touch()

    def _touch(self) -> None:
        self.hub.touched.append(self)

    def _watch_incomplete(self, now: float, *, whole: bool) -> None:
        liveness = self.liveness
        if not self._reader.incomplete and not self.is_cut:
            liveness.incomplete_since = None
        elif liveness.incomplete_since is None or whole:
            liveness.incomplete_since = now
            self._schedule()

    # The actions.

    def _connect(self, frame: Frame) -> bool:
        """Negotiate (STOMP-CONNECT-001, -003, -014); any `host` or none will do (STOMP-CONNECT-005, -006)."""
        headers = frame.headers
        version = self._reader.version
        if version is None:  # STOMP-NEG-003, STOMP-NEG-004, STOMP-NEG-005
            supported = ",".join(VERSIONS)
            version_header = (("version", supported),)
            raise ProtocolError("no version in common", f"Supported: {supported}.", headers=version_header)
        login, passcode = headers.get("login", ""), headers.get("passcode", "")
        self.hub.check_user(login, passcode, self._address, self.hub.now)
        answer = [f"version:{version}", f"session:{self.name}", f"server:{self.hub.server_name}"]
        if version != "1.0":
            smallest = self.hub.limits.heartbeat_interval
            self.liveness.intervals = agree_on_heartbeats(headers, smallest)
            # STOMP-HEARTBEAT-001, STOMP-HEARTBEAT-011
            answer.append(f"heart-beat:{smallest * 1000:.0f},{smallest * 1000:.0f}")
        self.version = version
        seen = {"session": self.name, "address": self._address, "version": version}
        tell(logging.DEBUG, "session", login=login[:100], **seen)
        # STOMP-ENC-006, STOMP-CONNECT-004, -008; a receipt is not granted (STOMP-CONNECT-013)
        self.emit("\n".join(["CONNECTED", *answer, "", "\0"]).encode())
        self._schedule()
        return False

    def _send(self, frame: Frame) -> bool:
        transaction = frame.headers.get("transaction")
        if transaction is None:
            return self.hub.router.send(self, frame)
        self.hub.router.check_transactional(frame)
        self._transactions.add(transaction, frame, len(frame.body) + sum(map(len, frame.headers.values())))
        return True  # STOMP-TX-013: its receipt is granted now

    def _subscribe(self, frame: Frame) -> None:
        headers = frame.headers
        destination = headers.get("destination")
        if destination is None:  # STOMP-SUB-004
            raise ProtocolError("SUBSCRIBE without destination", "Name the destination to listen to.")
        identifier, mode = self.subscriptions.check(headers)
        source = self.hub.router.source(self, destination)
        self.subscriptions.add(identifier, mode, source, headers)

    def _unsubscribe(self, frame: Frame) -> None:
        self.subscriptions.remove(frame.headers)

    def _settle(self, frame: Frame) -> None:
        """Process ACK or NACK; 1.0 has no NACK."""
        headers, consumed = frame.headers, frame.command == "ACK"
        if not consumed and self.version == "1.0":
            raise self._out_of_place(frame)
        transaction = headers.get("transaction")
        if transaction is not None:
            self._transactions.check(transaction)
        delivery = self.subscriptions.find(headers, frame.command)
        if transaction is None:
            self.subscriptions.settle(delivery, consumed=consumed)
        else:
            self._transactions.add(transaction, Settlement(delivery, consumed), 100)

    def _begin(self, frame: Frame) -> None:
        self._transactions.begin(frame.headers)

    def _commit(self, frame: Frame) -> None:
        """Process all steps or none, the SENDs in order and then ACK and NACK in order (STOMP-TX-003)."""
        steps = self._transactions.end(frame.headers, "COMMIT")
        sends = [step for step in steps if isinstance(step, Frame)]
        self.hub.router.check_together(sends)
        for send in sends:
            self.hub.router.send(self, send)
        for step in steps:
            if isinstance(step, Settlement):
                self.subscriptions.settle(step.delivery, consumed=step.consumed)

    def _abort(self, frame: Frame) -> None:
        self._transactions.end(frame.headers, "ABORT")

    def _disconnect(self, frame: Frame) -> None:
        """End; all earlier frames were processed (STOMP-DISCONNECT-001, -002, -004; STOMP-RECEIPT-006)."""


Action = Callable[[Session, Frame], bool | None]

_SERVED: dict[str, tuple[Action, State]] = {
    "SEND": (Session._send, State.LIVE),
    "SUBSCRIBE": (Session._subscribe, State.LIVE),
    "UNSUBSCRIBE": (Session._unsubscribe, State.LIVE),
    "ACK": (Session._settle, State.LIVE),
    "NACK": (Session._settle, State.LIVE),
    "BEGIN": (Session._begin, State.LIVE),
    "COMMIT": (Session._commit, State.LIVE),
    "ABORT": (Session._abort, State.LIVE),
    "DISCONNECT": (Session._disconnect, State.ENDED),
}
_CONNECTS: dict[str, tuple[Action, State]] = {
    "CONNECT": (Session._connect, State.LIVE),
    "STOMP": (Session._connect, State.LIVE),
}
TRANSITIONS: dict[State, dict[str, tuple[Action, State]]] = {
    State.OPENED: _CONNECTS,
    State.BARE: {**_CONNECTS, **_SERVED},  # QSTOMP-BARE-1
    State.LIVE: _SERVED,
    State.ENDED: {},
}
"""The action and the next state of each command, by state."""
