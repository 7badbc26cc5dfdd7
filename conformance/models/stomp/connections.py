"""Sends frames on the connections of a run, reads what comes on them, and writes both down.

The list `program` is what a reader of a failure sees: one line for each frame and how it was answered.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.models.stomp.broker import StompModel
from conformance.models.stomp.broker_under_test import Outcome
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.models.stomp.broker_under_test import BrokerUnderTest, Link
    from conformance.models.stomp.entities import Session
    from conformance.models.stomp.settling import Then
    from conformance.wire.frames import Frame

_LINES_KEPT = 300
#: More frames than one operation can make a server send.
_FRAMES_IN_A_ROW = 10_000


@dataclass(eq=False, slots=True)
class Line:
    """A session with its connection, and the answers that came on it.

    `to_refuse` has for the receipts of frames that must be refused the clause, and what is expected. `is_doubtful`:
    a frame was granted that could have been refused. `may_end`: a frame may still be refused.
    """

    session: "Session"
    link: "Link"
    granted: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    to_refuse: dict[str, tuple[str, str]] = field(default_factory=dict)
    error: "Frame | None" = None
    receipts: int = 0
    is_doubtful: bool = False
    may_end: bool = False


class Lines:
    """The connections of one run, a model of the server, and the program so far."""

    def __init__(self, system: "BrokerUnderTest") -> None:
        self.system = system
        self.model = StompModel(
            system.judge, system.version, redelivers=system.redelivers, keeps=system.keeps, seen=system.seen
        )
        self.program: deque[str] = deque(maxlen=_LINES_KEPT)
        self.done = 0
        self.lines: list[Line] = []

    def close(self) -> None:
        """Leave no connection behind."""
        for line in self.lines:
            line.link.end("close")
        self.lines.clear()

    # Reading

    def collect(self) -> None:
        """Take what has come on all sessions, and wait for what must come."""
        while True:
            for line in list(self.lines):
                self._drain(line)
            if not self.model.due():
                return
            if not self.system.wait([line.link for line in self.lines]):
                for line in list(self.lines):
                    self._drain(line)
                for copy in self.model.due():
                    self.model.missing(copy)

    def look(self) -> None:
        """Fence every session, so that whatever the server sends without being asked is there."""
        for line in list(self.lines):
            self.fence(line)
        self.collect()

    def line_of(self, session: "Session") -> Line:
        """The line of a session that is not over."""
        return next(line for line in self.lines if line.session is session)

    # Frames and answers

    def receipt(self, line: Line) -> str:
        """A value for a `receipt` header that the line was not asked yet."""
        line.receipts += 1
        receipt = f"r{line.session.number}-{line.receipts}"
        line.asked.add(receipt)
        return receipt

    def send_frame(
        self, line: Line, command: str, headers: Iterable[tuple[str, str]], body: bytes = b""
    ) -> None:
        """Send a frame, and write it down."""
        pairs = list(headers)
        self.program.append(f"{line.session}: {command} {dict(pairs)} {body.decode()}".rstrip())
        self.done += 1
        line.link.send(command, pairs, body)

    def ask(
        self,
        line: Line,
        command: str,
        headers: Iterable[tuple[str, str]],
        then: "Then",
        *,
        is_certain: bool = True,
        is_fine: bool = True,
    ) -> Outcome:
        """Perform, let the model judge, and take what came of it on all sessions.

        Where it isn't certain that the frame is fine, a RECEIPT for it is checked by a fence. With `is_fine` False it
        may be refused, too, but a RECEIPT needs no check.
        """
        outcome = self.perform(line, command, headers, is_fine=is_certain and is_fine)
        then(outcome)
        if not is_certain:
            self.check_receipt(line, outcome)
        self.collect()
        return outcome

    def perform(
        self,
        line: Line,
        command: str,
        headers: Iterable[tuple[str, str]],
        body: bytes = b"",
        *,
        is_fine: bool = False,
    ) -> Outcome:
        """Send a frame with a receipt, and read until it is answered; if it `is_fine`, it can't be refused."""
        receipt = self.receipt(line)
        self.send_frame(line, command, [*headers, ("receipt", receipt)], body)
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
            if is_fine and line.is_doubtful and not outcome.granted:
                self._contradicted(line, f"a RECEIPT for {command}, as for the frames before it", outcome)
            self.model.end(line.session)
            self.hang_up(line, "close")
        elif not outcome.granted:
            self.model.judge(
                "STOMP-DISCONNECT-001" if command == "DISCONNECT" else "STOMP-RECEIPT-001",
                False,
                expected=f"a RECEIPT for {command}",
                observed="nothing, and the connection stays open",
            )
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
        self.hang_up(line, "close")

    def hang_up(self, line: Line, how: str) -> None:
        """End a connection; its session is over."""
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
            self._lost(line)

    def _lost(self, line: Line) -> None:
        """The server ended a session in which everything was answered."""
        expected = f"{line.session} to stay open: everything in it was answered"
        observed = line.error if line.error is not None else "the end of the connection"
        if not line.is_doubtful and not line.may_end:
            raise PeerFailure(expected, observed)
        self._contradicted(line, expected, observed)
        self.model.end(line.session)
        self.hang_up(line, "close")

    def _contradicted(self, line: Line, expected: str, observed: object) -> None:
        """A RECEIPT for a frame that could have been refused, and after it the end for the same reason."""
        if not line.may_end:
            self.model.judge("STOMP-RECEIPT-003", False, expected=expected, observed=observed)

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

    def check_receipt(self, line: Line, outcome: Outcome) -> None:
        """A RECEIPT, and after it the end for the same reason, contradict each other (STOMP-RECEIPT-003)."""
        if not outcome.granted:
            return
        line.is_doubtful = True
        self.model.judge(
            "STOMP-RECEIPT-003",
            line in self.lines and self.fence(line),
            expected="no RECEIPT for a frame that was refused",
            observed="a RECEIPT, and after it an ERROR or the end of the connection",
        )

    def fence(self, line: Line) -> bool:
        """Whether the server still works for this session; if so, it has worked off what was sent before."""
        name = f"fence-{self.done}"
        self.send_frame(line, "BEGIN", [("transaction", name)])
        return self.perform(line, "ABORT", [("transaction", name)]).granted
