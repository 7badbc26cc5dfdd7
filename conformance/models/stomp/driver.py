"""Performs operations on a server, lets the model judge what comes, and writes down what was done.

The list `program` is what a reader of a failure sees: one line for each frame and how it was answered.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.models.stomp.broker import StompModel
from conformance.models.stomp.world import Outcome
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.models.stomp.messages import Delivery, Destination, Subscription
    from conformance.models.stomp.sessions import Session
    from conformance.models.stomp.settling import Then
    from conformance.models.stomp.world import Link, StompWorld
    from conformance.wire.frames import Frame

_LINES_KEPT = 300
#: More frames than one operation can make a server send.
_FRAMES_IN_A_ROW = 10_000


@dataclass(eq=False, slots=True)
class Line:
    """A session with its connection, and the answers that came on it.

    `to_refuse` has for the receipts of frames that must be refused the clause, and what is expected.
    """

    session: "Session"
    link: "Link"
    granted: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    to_refuse: dict[str, tuple[str, str]] = field(default_factory=dict)
    error: "Frame | None" = None
    receipts: int = 0


class StompDriver:
    """One run: a server, a model of it, and the program so far."""

    def __init__(self, world: "StompWorld") -> None:
        self.world = world
        self.model = StompModel(
            world.judge, world.version, redelivers=world.redelivers, keeps=world.keeps, seen=world.seen
        )
        self.program: deque[str] = deque(maxlen=_LINES_KEPT)
        self.done = 0
        self.lines: list[Line] = []

    # Sessions

    def connect(self) -> Line:
        """Open a session."""
        line = Line(self.model.add_session(), self.world.connect())
        self.lines.append(line)
        self.program.append(f"{line.session}: CONNECT")
        return line

    def destination(self, *, is_queue: bool) -> "Destination":
        """A new destination."""
        return self.model.add_destination(self.world.destination(is_queue=is_queue), is_queue=is_queue)

    def disconnect(self, line: Line) -> None:
        """DISCONNECT, and end the connection when its RECEIPT is there, or when the server ends it first."""
        self.model.end(line.session, orderly=True)
        self._perform(line, "DISCONNECT", [])
        self._end(line, "close")

    def end(self, line: Line, how: str = "cut") -> None:
        """End a connection without DISCONNECT: "close" with a Close frame, "cut" as a failing host does."""
        self.program.append(f"{line.session}: {how}")
        self.done += 1
        self.model.end(line.session)
        self._end(line, how)

    def close(self) -> None:
        """Leave no connection behind."""
        for line in self.lines:
            line.link.end("close")
        self.lines.clear()

    # Subscriptions and messages

    def subscribe(self, line: Line, identifier: str, destination: "Destination", mode: str) -> Outcome:
        """SUBSCRIBE; mode auto is left to the default."""
        headers = [("id", identifier), *self._place(destination)]
        if mode != "auto":
            headers.append(("ack", mode))
        then = self.model.subscribe(line.session, identifier, destination, mode)
        return self._ask(line, "SUBSCRIBE", headers, then)

    def unsubscribe(self, subscription: "Subscription") -> None:
        """UNSUBSCRIBE."""
        then = self.model.unsubscribe(subscription)
        self._ask(self.line_of(subscription.session), "UNSUBSCRIBE", [("id", subscription.id)], then)

    def send(self, line: Line, destinations: "Iterable[Destination]") -> None:
        """SEND a message to each, the last one with a receipt: by then the server has got all (STOMP-RECEIPT-004)."""
        messages = [self.model.new_message(each) for each in destinations]
        thens = [self.model.send(message) for message in messages]
        for message in messages[:-1]:
            self._send(line, "SEND", self._place(message.destination), message.body)
        outcome = self._perform(line, "SEND", self._place(messages[-1].destination), messages[-1].body)
        for then in thens:
            then(outcome)
        self.collect()

    # Settling

    def ack(self, delivery: "Delivery") -> None:
        """ACK a delivery that is certainly to be settled."""
        self._settle("ACK", delivery, self.model.settling.ack(delivery))

    def nack(self, delivery: "Delivery") -> None:
        """NACK such a delivery."""
        self._settle("NACK", delivery, self.model.settling.nack(delivery))

    def settle_late(self, delivery: "Delivery", command: str) -> None:
        """ACK or NACK a delivery that is settled, or perhaps is; a refusal is as good as a RECEIPT, not both."""
        line = self.line_of(delivery.subscription.session)
        again = line.session.find(delivery.key)
        if again is not None and again is not delivery:
            return  # the same headers name a later delivery of the message
        self._ask(line, command, delivery.key, self.model.settling.late(delivery), is_certain=False)

    def ack_stray(self, line: Line, key: tuple[tuple[str, str], ...]) -> None:
        """ACK by headers that name nothing that this session was sent; the answer may be silence."""
        known = [*line.session.unsettled, *line.session.former]
        if any(delivery.key == key for delivery in known):
            return
        then = self.model.settling.stray(key, self.model.sessions)
        receipt = self._receipt(line)
        self._send(line, "ACK", [*key, ("receipt", receipt)])
        self._fence(line)
        outcome = Outcome(receipt in line.granted, line.error, line.link.is_over)
        then(outcome)
        self._check_receipt(line, outcome)
        self.collect()

    # Transactions

    def begin(self, line: Line, name: str, *, used_before: bool) -> None:
        """BEGIN."""
        then = self.model.transactions.begin(line.session, name, used_before=used_before)
        self._ask(line, "BEGIN", [("transaction", name)], then)

    def begin_again(self, line: Line, name: str) -> None:
        """BEGIN of a transaction that is open."""
        then = self.model.transactions.begin_again(line.session, name)
        self._ask(line, "BEGIN", [("transaction", name)], then)

    def send_in(self, line: Line, name: str, destination: "Destination") -> None:
        """SEND in a transaction."""
        message = self.model.new_message(destination)
        self.model.send_in(line.session, name, message)
        self._send(line, "SEND", [*self._place(destination), ("transaction", name)], message.body)

    def settle_in(self, line: Line, name: str, delivery: "Delivery", command: str) -> None:
        """ACK or NACK in a transaction."""
        self.model.settle_in(line.session, name, delivery, is_ack=command == "ACK")
        self._send(line, command, [*delivery.key, ("transaction", name)])

    def commit(self, line: Line, name: str) -> None:
        """COMMIT; what nobody may see before it has had its chance to show."""
        self.collect()
        if not line.link.is_over:
            self._ask(
                line, "COMMIT", [("transaction", name)], self.model.transactions.commit(line.session, name)
            )

    def commit_and_cut(self, line: Line, name: str) -> None:
        """COMMIT, and cut the connection before the answer."""
        self.model.transactions.commit_unanswered(line.session, name)
        self._send(line, "COMMIT", [("transaction", name)])
        self.end(line)

    def abort(self, line: Line, name: str) -> None:
        """ABORT."""
        self._ask(line, "ABORT", [("transaction", name)], self.model.transactions.abort(line.session, name))

    def commit_spoilt(
        self, line: Line, name: str, destinations: "Iterable[Destination]", key: tuple[tuple[str, str], ...]
    ) -> None:
        """A transaction with SENDs and, among them, an ACK of something that doesn't exist."""
        self.begin(line, name, used_before=False)
        for number, destination in enumerate(destinations):
            self.send_in(line, name, destination)
            if number == 0:
                self._send(line, "ACK", [*key, ("transaction", name)])
        then = self.model.transactions.spoilt(line.session, name)
        self._ask(line, "COMMIT", [("transaction", name)], then, is_certain=False)

    # Frames to refuse

    def refused(
        self,
        line: Line,
        clause: str,
        expected: str,
        command: str,
        headers: Iterable[tuple[str, str]],
        behind: "Destination",
    ) -> None:
        """A frame that `clause` has refused, and a SEND right behind it."""
        receipt, message = self._receipt(line), self.model.new_message(behind)
        line.to_refuse[receipt] = (clause, expected)
        sent = self.model.send(message)
        self._send(line, command, [*headers, ("receipt", receipt)])
        outcome = self._perform(line, "SEND", self._place(behind), message.body)
        if outcome.granted and not outcome.is_over:
            self._fence(line)  # the ERROR may come after the RECEIPT of a later frame
        for broken in (clause, "STOMP-RECEIPT-003"):
            self.model.judge(broken, receipt not in line.granted, expected=expected, observed="RECEIPT")
        if outcome.granted:
            sent(outcome)
        elif line.error is not None:
            self.model.not_carried_out(message)
        self.collect()

    # Reading

    def collect(self) -> None:
        """Take what has come on all sessions, and wait for what must come."""
        while True:
            for line in self._open():
                self._drain(line)
            due = self.model.due()
            if not due:
                return
            if not self.world.wait([line.link for line in self._open()]):
                for line in self._open():
                    self._drain(line)
                for copy in self.model.due():
                    self.model.missing(copy)

    def look(self) -> None:
        """Fence every session, so that whatever the server sends without being asked is there."""
        for line in self._open():
            self._fence(line)
        self.collect()

    def line_of(self, session: "Session") -> Line:
        """The line of a session that is not over."""
        return next(line for line in self.lines if line.session is session)

    # The plumbing

    def _place(self, destination: "Destination") -> list[tuple[str, str]]:
        return [("destination", destination.name), *self.world.place_headers[destination.is_queue]]

    def _open(self) -> list[Line]:
        return [line for line in self.lines if not line.link.is_over]

    def _receipt(self, line: Line) -> str:
        line.receipts += 1
        receipt = f"r{line.session.number}-{line.receipts}"
        line.asked.add(receipt)
        return receipt

    def _send(self, line: Line, command: str, headers: Iterable[tuple[str, str]], body: bytes = b"") -> None:
        pairs = list(headers)
        self.program.append(f"{line.session}: {command} {dict(pairs)} {body.decode()}".rstrip())
        self.done += 1
        line.link.send(command, pairs, body)

    def _settle(self, command: str, delivery: "Delivery", then: "Then") -> None:
        self._ask(self.line_of(delivery.subscription.session), command, delivery.key, then)

    def _ask(
        self,
        line: Line,
        command: str,
        headers: Iterable[tuple[str, str]],
        then: "Then",
        *,
        is_certain: bool = True,
    ) -> Outcome:
        """Perform, let the model judge, and take what came of it on all sessions.

        Where it isn't certain that the frame is fine, a RECEIPT for it is checked by a fence.
        """
        outcome = self._perform(line, command, headers)
        then(outcome)
        if not is_certain:
            self._check_receipt(line, outcome)
        self.collect()
        return outcome

    def _perform(
        self, line: Line, command: str, headers: Iterable[tuple[str, str]], body: bytes = b""
    ) -> Outcome:
        """Send a frame with a receipt, and read until it is answered. Raises PeerFailure where it isn't."""
        receipt = self._receipt(line)
        self._send(line, command, [*headers, ("receipt", receipt)], body)
        while receipt not in line.granted and line.error is None:
            frame = line.link.receive(wait=True)
            if frame is None:
                break
            self._take(line, frame)
        if line.error is not None:
            self._refused(line)
        outcome = Outcome(receipt in line.granted, line.error, line.link.is_over)
        self.program.append(f"  -> {outcome}")
        if outcome.is_over:
            self.model.end(line.session)
            self._end(line, "close")
        elif not outcome.granted:
            raise PeerFailure(f"a RECEIPT or an ERROR for {command}", "neither, and the connection is open")
        return outcome

    def _refused(self, line: Line) -> None:
        """After an ERROR: nothing follows but the end (STOMP-ERROR-001, STOMP-ERROR-002)."""
        is_judged = self.model.judge.has("STOMP-ERROR-001")
        while is_judged and not line.link.is_over:
            frame = line.link.receive(wait=True)
            if frame is None:
                break
            self._take(line, frame)
        self.model.judge(
            "STOMP-ERROR-001",
            line.link.is_over,
            expected="the end of the connection after the ERROR",
            observed="it stays open",
        )
        self.model.end(line.session)
        self._end(line, "close")

    def _end(self, line: Line, how: str) -> None:
        line.link.end(how)
        if line in self.lines:
            self.lines.remove(line)

    def _drain(self, line: Line) -> None:
        for _ in range(_FRAMES_IN_A_ROW):
            frame = line.link.receive(wait=False)
            if frame is None:
                break
            self._take(line, frame)
        if line.error is not None or line.link.is_over:
            raise PeerFailure(
                f"{line.session} to stay open: everything in it was answered",
                line.error if line.error is not None else "the end of the connection",
            )

    def _take(self, line: Line, frame: "Frame") -> None:
        judge, session = self.model.judge, line.session
        judge("STOMP-ERROR-002", line.error is None, expected="no frame behind an ERROR", observed=frame)
        if frame.command == "MESSAGE":
            self.program.append(
                f"  {session} gets {frame.body.decode(errors='replace')!r} {dict(frame.headers)}"
            )
            self.model.arrived(session, frame)
        elif frame.command == "ERROR":
            line.error = frame
        elif frame.command == "RECEIPT":
            self._take_receipt(line, frame)

    def _take_receipt(self, line: Line, frame: "Frame") -> None:
        judge, receipt = self.model.judge, frame.get("receipt-id")
        judge("STOMP-RECEIPT-002", receipt is not None, expected="a receipt-id", observed=frame)
        judge(
            "STOMP-RECEIPT-008",
            receipt in line.asked,
            expected="no RECEIPT that nobody asked for",
            observed=frame,
        )
        judge(
            "STOMP-RECEIPT-001",
            receipt not in line.granted,
            expected="one RECEIPT for a frame",
            observed=frame,
        )
        if receipt is not None:
            line.granted.add(receipt)
        if receipt in line.to_refuse:
            clause, expected = line.to_refuse[receipt]
            judge(clause, False, expected=expected, observed=frame)

    def _check_receipt(self, line: Line, outcome: Outcome) -> None:
        """A RECEIPT, and after it the end for the same reason, contradict each other (STOMP-RECEIPT-003)."""
        if not outcome.granted:
            return
        self.model.judge(
            "STOMP-RECEIPT-003",
            line in self.lines and self._fence(line),
            expected="no RECEIPT for a frame that was refused",
            observed="a RECEIPT, and after it an ERROR or the end of the connection",
        )

    def _fence(self, line: Line) -> bool:
        """Whether the server still works for this session; if so, it has worked off what was sent before."""
        name = f"fence-{self.done}"
        self._send(line, "BEGIN", [("transaction", name)])
        return self._perform(line, "ABORT", [("transaction", name)]).granted
