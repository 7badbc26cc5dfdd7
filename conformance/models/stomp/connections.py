"""The connections of a run: sends frames, reads frames, judges RECEIPT and ERROR, and records the program.

The program is the list of frames and answers that a failure report shows.

Condition: every frame with a receipt is answered by exactly one RECEIPT with its id, or by an ERROR and the end of
the connection, never by both; no frame follows an ERROR; no other RECEIPT arrives.

No false alarm: missing answers are judged after the whole patience; the end of a connection is judged only if no
frame sent on it may be refused.
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
#: Bound on the frames read in a row; no operation makes a server send so many.
_FRAMES_IN_A_ROW = 10_000


@dataclass(eq=False, slots=True)
class ModelConnection:
    """A session, its client, and the answers that arrived.

    `granted`, `requested`: ids of receipts that arrived, and that were asked for. `must_be_refused`: the clause and
    expectation of frames that must be refused, by id of their receipt. `is_doubtful`: True if a frame was granted
    that the server could have refused. `may_end`: True if a frame may still be refused.
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
    """All connections of one run, the model of the server, and the program so far.

    `actions`: the number of frames sent and connections ended.
    """

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
        """Close all connections."""
        for connection in self.connections:
            connection.client.end("close")
        self.connections.clear()

    # Reading

    def collect(self) -> None:
        """Read all frames that have arrived, and wait for messages that must come."""
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
        """Fence every session, so that unsolicited frames have arrived, and read them."""
        for connection in list(self.connections):
            self.fence(connection)
        self.collect()

    def connection_of(self, session: "Session") -> ModelConnection:
        """Return the connection of a session that is not over."""
        return next(connection for connection in self.connections if connection.session is session)

    # Frames and answers

    def receipt(self, connection: ModelConnection) -> str:
        """Return a receipt id that is new on the connection."""
        connection.receipts += 1
        receipt = f"r{connection.session.number}-{connection.receipts}"
        connection.requested.add(receipt)
        return receipt

    def send_frame(
        self, connection: ModelConnection, command: str, headers: Iterable[tuple[str, str]], body: bytes = b""
    ) -> None:
        """Send a frame and record it in the program."""
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
        """Send a frame with a receipt, call `handle_outcome` with its answer, and collect frames on all connections.

        `is_certain`: False if the frame may be invalid; a RECEIPT for it is then checked by a fence.
        `must_be_granted`: False if a valid frame may be refused; a RECEIPT for it needs no check.
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
        """Send a frame with a receipt and read until its answer. `must_be_granted`: True if it may not be refused."""
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
        """After an ERROR the connection ends, and no frame follows (STOMP-ERROR-001, STOMP-ERROR-002)."""
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
        """End a connection whose session is over."""
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
        """Judge the end of a session in which every frame was answered. Raises PeerFailure if no frame explains it."""
        expected = f"{connection.session} to stay open: everything in it was answered"
        observed = connection.error if connection.error is not None else "the end of the connection"
        if not connection.is_doubtful and not connection.may_end:
            raise PeerFailure(expected, observed)
        self._contradicted(connection, expected, observed)
        self.model.end(connection.session)
        self.end_connection(connection, "close")

    def _contradicted(self, connection: ModelConnection, expected: str, observed: object) -> None:
        """STOMP-RECEIPT-003: a RECEIPT for a frame, and then the end of the connection for the same frame."""
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
            self.model.observe_message(session, frame)
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
        """STOMP-RECEIPT-003: after a RECEIPT for a frame, the server must not end the session because of it."""
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
        """Return True if the session is alive; the server has then processed all frames sent before on it."""
        name = f"fence-{self.actions}"
        self.send_frame(connection, "BEGIN", [("transaction", name)])
        return self.send_with_receipt(connection, "ABORT", [("transaction", name)]).granted
