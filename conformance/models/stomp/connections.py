"""Sends frames on the connections of a run, reads what comes on them, and writes both down.

The list `program` is what a reader of a failure sees: one line for each frame and how it was answered.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.models.stomp.broker import StompModel
from conformance.models.stomp.broker_under_test import FrameOutcome
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.models.stomp.broker_under_test import BrokerUnderTest, ModelClient
    from conformance.models.stomp.entities import Session
    from conformance.models.stomp.settling import OutcomeHandler
    from conformance.wire.frames import Frame

_LINES_KEPT = 300
#: More frames than one operation can make a server send.
_FRAMES_IN_A_ROW = 10_000


@dataclass(eq=False, slots=True)
class ModelConnection:
    """A session with its connection, and the answers that came on it.

    `must_be_refused` has for the receipts of frames that must be refused the clause, and what is expected.
    `is_doubtful`: a frame was granted that could have been refused. `may_end`: a frame may still be refused.
    """

    session: "Session"
    client: "ModelClient"
    granted: set[str] = field(default_factory=set)
    requested: set[str] = field(default_factory=set)
    must_be_refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    error: "Frame | None" = None
    receipts: int = 0
    is_doubtful: bool = False
    may_end: bool = False


class Connections:
    """The connections of one run, a model of the server, and the program so far."""

    def __init__(self, system: "BrokerUnderTest") -> None:
        self.system = system
        self.model = StompModel(
            system.judge,
            system.version,
            redelivers=system.redelivers,
            keeps=system.keeps,
            findings=system.findings,
        )
        self.program: deque[str] = deque(maxlen=_LINES_KEPT)
        self.actions = 0
        self.connections: list[ModelConnection] = []

    def close(self) -> None:
        """Leave no connection behind."""
        for connection in self.connections:
            connection.client.end("close")
        self.connections.clear()

    # Reading

    def collect(self) -> None:
        """Take what has come on all sessions, and wait for what must come."""
        while True:
            for connection in list(self.connections):
                self._read_available(connection)
            if not self.model.due():
                return
            if not self.system.wait([connection.client for connection in self.connections]):
                for connection in list(self.connections):
                    self._read_available(connection)
                for copy in self.model.due():
                    self.model.missing(copy)

    def fence_all(self) -> None:
        """Fence every session, so that whatever the server sends without being asked is there."""
        for connection in list(self.connections):
            self.fence(connection)
        self.collect()

    def connection_of(self, session: "Session") -> ModelConnection:
        """The line of a session that is not over."""
        return next(connection for connection in self.connections if connection.session is session)

    # Frames and answers

    def receipt(self, connection: ModelConnection) -> str:
        """A value for a `receipt` header that the line was not asked yet."""
        connection.receipts += 1
        receipt = f"r{connection.session.number}-{connection.receipts}"
        connection.requested.add(receipt)
        return receipt

    def send_frame(
        self, connection: ModelConnection, command: str, headers: Iterable[tuple[str, str]], body: bytes = b""
    ) -> None:
        """Send a frame, and write it down."""
        pairs = list(headers)
        self.program.append(f"{connection.session}: {command} {dict(pairs)} {body.decode()}".rstrip())
        self.actions += 1
        connection.client.send(command, pairs, body)

    def request(
        self,
        connection: ModelConnection,
        command: str,
        headers: Iterable[tuple[str, str]],
        handle_outcome: "OutcomeHandler",
        *,
        is_certain: bool = True,
        must_be_granted: bool = True,
    ) -> FrameOutcome:
        """Perform, let the model judge, and take what came of it on all sessions.

        Where it isn't certain that the frame is fine, a RECEIPT for it is checked by a fence. With
        `must_be_granted` False it may be refused, too, but a RECEIPT needs no check.
        """
        outcome = self.send_with_receipt(
            connection, command, headers, must_be_granted=is_certain and must_be_granted
        )
        handle_outcome(outcome)
        if not is_certain:
            self.check_receipt(connection, outcome)
        self.collect()
        return outcome

    def send_with_receipt(
        self,
        connection: ModelConnection,
        command: str,
        headers: Iterable[tuple[str, str]],
        body: bytes = b"",
        *,
        must_be_granted: bool = False,
    ) -> FrameOutcome:
        """Send a frame with a receipt, and read until it is answered; if it `must_be_granted`, it can't be refused."""
        receipt = self.receipt(connection)
        self.send_frame(connection, command, [*headers, ("receipt", receipt)], body)
        while receipt not in connection.granted and connection.error is None:
            frame = connection.client.receive(wait=True)
            if frame is None:
                break
            self._process_frame(connection, frame)
        if connection.error is not None:
            self._judge_error(connection)
        outcome = FrameOutcome(receipt in connection.granted, connection.error, connection.client.is_over)
        self.program.append(f"  -> {outcome}")
        if outcome.is_over:
            if must_be_granted and connection.is_doubtful and not outcome.granted:
                self._contradicted(
                    connection, f"a RECEIPT for {command}, as for the frames before it", outcome
                )
            self.model.end(connection.session)
            self.end_connection(connection, "close")
        elif not outcome.granted:
            self.model.judge(
                "STOMP-DISCONNECT-001" if command == "DISCONNECT" else "STOMP-RECEIPT-001",
                False,
                expected=f"a RECEIPT for {command}",
                observed="nothing, and the connection stays open",
            )
        return outcome

    def _judge_error(self, connection: ModelConnection) -> None:
        """After an ERROR: nothing follows but the end (STOMP-ERROR-001, STOMP-ERROR-002)."""
        is_judged = self.model.judge.has("STOMP-ERROR-001")
        while is_judged and not connection.client.is_over:
            frame = connection.client.receive(wait=True)
            if frame is None:
                break
            self._process_frame(connection, frame)
        self.model.judge(
            "STOMP-ERROR-001",
            connection.client.is_over,
            expected="the end of the connection after the ERROR",
            observed="it stays open",
        )
        self.model.end(connection.session)
        self.end_connection(connection, "close")

    def end_connection(self, connection: ModelConnection, how: str) -> None:
        """End a connection; its session is over."""
        connection.client.end(how)
        if connection in self.connections:
            self.connections.remove(connection)

    def _read_available(self, connection: ModelConnection) -> None:
        for _ in range(_FRAMES_IN_A_ROW):
            frame = connection.client.receive(wait=False)
            if frame is None:
                break
            self._process_frame(connection, frame)
        if connection.error is not None or connection.client.is_over:
            self._judge_unexpected_end(connection)

    def _judge_unexpected_end(self, connection: ModelConnection) -> None:
        """The server ended a session in which everything was answered."""
        expected = f"{connection.session} to stay open: everything in it was answered"
        observed = connection.error if connection.error is not None else "the end of the connection"
        if not connection.is_doubtful and not connection.may_end:
            raise PeerFailure(expected, observed)
        self._contradicted(connection, expected, observed)
        self.model.end(connection.session)
        self.end_connection(connection, "close")

    def _contradicted(self, connection: ModelConnection, expected: str, observed: object) -> None:
        """A RECEIPT for a frame that could have been refused, and after it the end for the same reason."""
        if not connection.may_end:
            self.model.judge("STOMP-RECEIPT-003", False, expected=expected, observed=observed)

    def _process_frame(self, connection: ModelConnection, frame: "Frame") -> None:
        judge, session = self.model.judge, connection.session
        judge(
            "STOMP-ERROR-002", connection.error is None, expected="no frame behind an ERROR", observed=frame
        )
        if frame.command == "MESSAGE":
            self.program.append(
                f"  {session} gets {frame.body.decode(errors='replace')!r} {dict(frame.headers)}"
            )
            self.model.arrived(session, frame)
        elif frame.command == "ERROR":
            connection.error = frame
        elif frame.command == "RECEIPT":
            self._process_receipt(connection, frame)

    def _process_receipt(self, connection: ModelConnection, frame: "Frame") -> None:
        judge, receipt = self.model.judge, frame.get("receipt-id")
        judge("STOMP-RECEIPT-002", receipt is not None, expected="a receipt-id", observed=frame)
        judge(
            "STOMP-RECEIPT-008",
            receipt in connection.requested,
            expected="no RECEIPT that nobody asked for",
            observed=frame,
        )
        judge(
            "STOMP-RECEIPT-001",
            receipt not in connection.granted,
            expected="one RECEIPT for a frame",
            observed=frame,
        )
        if receipt is not None:
            connection.granted.add(receipt)
        if receipt in connection.must_be_refused:
            clause, expected = connection.must_be_refused[receipt]
            judge(clause, False, expected=expected, observed=frame)

    def check_receipt(self, connection: ModelConnection, outcome: FrameOutcome) -> None:
        """A RECEIPT, and after it the end for the same reason, contradict each other (STOMP-RECEIPT-003)."""
        if not outcome.granted:
            return
        connection.is_doubtful = True
        self.model.judge(
            "STOMP-RECEIPT-003",
            connection in self.connections and self.fence(connection),
            expected="no RECEIPT for a frame that was refused",
            observed="a RECEIPT, and after it an ERROR or the end of the connection",
        )

    def fence(self, connection: ModelConnection) -> bool:
        """Whether the server still works for this session; if so, it has worked off what was sent before."""
        name = f"fence-{self.actions}"
        self.send_frame(connection, "BEGIN", [("transaction", name)])
        return self.send_with_receipt(connection, "ABORT", [("transaction", name)]).granted
