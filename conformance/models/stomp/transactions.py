"""Transactions: STOMP-TX-*.

Condition: the SENDs of a transaction have no effect before its COMMIT, all of them have after a RECEIPT for the
COMMIT, and none has after ABORT, a refused COMMIT or the end of the session; after a COMMIT without an answer either
all have an effect or none.

No false alarm: a COMMIT without an answer leaves its messages ALLOWED until one of them comes; only subscriptions in
effect at the SEND and at the COMMIT are required to get a topic's message.
"""

from typing import TYPE_CHECKING

from conformance.models.stomp.entities import NO_CLAUSE, CopyState, Transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.models.stomp.broker_under_test import FrameOutcome
    from conformance.models.stomp.entities import Message, Session
    from conformance.models.stomp.judging import VersionJudge
    from conformance.models.stomp.settling import OutcomeHandler, Settling


class Transactions:
    """Judge of BEGIN, COMMIT and ABORT; decides when the frames of a transaction take effect."""

    def __init__(self, judge: "VersionJudge", settling: "Settling", sessions: "Sequence[Session]") -> None:
        self._judge = judge
        self._sessions = sessions
        self._settling = settling
        # Numbers of the sessions that have begun a transaction, by its name. The server may not have noticed their end.
        self._begun_by: dict[str, set[int]] = {}

    def begin(self, session: "Session", name: str, *, used_before: bool) -> "OutcomeHandler":
        """BEGIN with a name that is not open on the session; a name used before may be refused."""

        def handle_outcome(outcome: "FrameOutcome") -> None:
            expected = f"a RECEIPT for BEGIN of {name}"
            begun_by = self._begun_by.setdefault(name, set())
            is_elsewhere = bool(begun_by - {session.number})
            begun_by.add(session.number)
            if is_elsewhere and not used_before:
                self._judge("STOMP-TX-010", outcome.granted, expected=expected, observed=outcome)
            clause = "STOMP-TX-011" if used_before else "STOMP-RECEIPT-001"
            # Only 1.2 says that the names of two connections are two.
            if outcome.granted or not is_elsewhere:
                self._judge(clause, outcome.granted, expected=expected, observed=outcome)
            if outcome.granted:
                session.transactions[name] = Transaction(name)

        return handle_outcome

    def begin_again(self, session: "Session", name: str) -> "OutcomeHandler":
        """BEGIN with an open name: if it is granted, the frames so far stay in the transaction (STOMP-TX-014)."""

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self._judge(
                "STOMP-TX-002", not outcome.granted, expected=f"no RECEIPT: {name} is open", observed=outcome
            )
            if outcome.granted:
                session.transactions[name].begun_again = True
            else:
                self._judge("STOMP-TX-014", True, expected="no success reported", observed=outcome)

        return handle_outcome

    def commit(self, session: "Session", name: str) -> "OutcomeHandler":
        """COMMIT: from now on all its frames may take effect."""
        transaction = session.transactions.pop(name)
        self._watch_others(session, name)
        self._may_be_sent(transaction.messages)
        for delivery, is_ack in transaction.settlements:
            if delivery.is_settled:
                continue
            if is_ack:
                self._settling.consume(delivery, "STOMP-ACK-006", "STOMP-ACK-006")
            else:
                self._settling.give_back(delivery)

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self._judge(
                "STOMP-TX-004" if transaction.messages else "STOMP-RECEIPT-001",
                outcome.granted,
                expected=f"a RECEIPT for the COMMIT of {name}",
                observed=outcome,
            )
            for message in transaction.messages:
                message.mark_sent("STOMP-TX-014" if transaction.begun_again else "STOMP-TX-004")

        return handle_outcome

    def commit_unanswered(self, session: "Session", name: str) -> None:
        """COMMIT on a connection that is cut at once: all its frames take effect or none."""
        transaction = session.transactions.pop(name)
        self._may_be_sent(transaction.messages)
        self._bind_together(transaction.messages)
        for delivery, _ in transaction.settlements:
            self._settling.doubt(delivery, NO_CLAUSE)

    def abort(self, session: "Session", name: str) -> "OutcomeHandler":
        """ABORT: none of its frames takes effect."""
        transaction = session.transactions.pop(name)
        self._undo(transaction, "STOMP-TX-006")

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self._judge(
                "STOMP-RECEIPT-001",
                outcome.granted,
                expected=f"a RECEIPT for ABORT of {name}",
                observed=outcome,
            )

        return handle_outcome

    def lost(self, session: "Session", *, orderly: bool) -> None:
        """End of the session: its open transactions are aborted (STOMP-TX-007, STOMP-TX-008)."""
        for transaction in session.transactions.values():
            self._undo(transaction, "STOMP-TX-007" if orderly else "STOMP-TX-008")
        session.transactions.clear()

    def spoilt(self, session: "Session", name: str) -> "OutcomeHandler":
        """COMMIT of a transaction with an ACK that must fail: all its SENDs take effect or none."""
        transaction = session.transactions.pop(name)
        self._may_be_sent(transaction.messages)

        def handle_outcome(outcome: "FrameOutcome") -> None:
            came = any(copy.arrivals for message in transaction.messages for copy in message.copies)
            refused = outcome.error is not None and not outcome.granted
            self._judge(
                "STOMP-TX-003",
                not (refused and came),
                expected=f"nothing of {name}, whose COMMIT was refused",
                observed="one of its messages came",
            )
            for message in transaction.messages:
                if outcome.granted or (came and not refused):
                    message.mark_sent("STOMP-TX-003")
                elif refused:
                    message.set_state(CopyState.FORBIDDEN, "STOMP-TX-003")
            if not outcome.granted and not refused and not came:
                self._bind_together(transaction.messages)

        return handle_outcome

    def _watch_others(self, session: "Session", name: str) -> None:
        """Forbid the SENDs of other open transactions to come with this one (STOMP-TX-010, STOMP-TX-012)."""
        for other in self._sessions:
            for transaction in other.transactions.values():
                clause = "STOMP-TX-012" if other is session else "STOMP-TX-010"
                if (other is session or transaction.name == name) and self._judge.has(clause):
                    for message in transaction.messages:
                        message.set_state(CopyState.FORBIDDEN, clause)

    @staticmethod
    def _bind_together(messages: "list[Message]") -> None:
        """Require that all of these messages arrive if one does (STOMP-TX-003)."""
        for message in messages:
            message.committed_together = list(messages)

    def _undo(self, transaction: Transaction, clause: str) -> None:
        for message in transaction.messages:
            message.set_state(CopyState.FORBIDDEN, clause if self._judge.has(clause) else None)
        for delivery, is_ack in transaction.settlements:
            # The message may be redelivered, or be acknowledged under its old value (STOMP-ACK-006).
            if not delivery.is_settled:
                self._settling.doubt(delivery, "STOMP-ACK-006" if is_ack else NO_CLAUSE)

    @staticmethod
    def _may_be_sent(messages: "list[Message]") -> None:
        """Allow the messages; subscriptions to a topic in effect at the SEND and still now must get them."""
        for message in messages:
            active = message.destination.active
            if not message.destination.is_queue:
                active = [subscription for subscription in message.audience if subscription in active]
            message.audience = active
            message.set_state(CopyState.ALLOWED)
