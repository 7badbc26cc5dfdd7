"""ACK and NACK: STOMP-ACK-*, STOMP-NACK-*, STOMP-SUB-010 to STOMP-SUB-012.

Condition: an ACK of a delivery that must be settled gets a RECEIPT, and none of the messages that it covers comes
again; a message that it does not cover stays unsettled and comes again if the session ends; an ACK that names no
delivery of its session settles nothing.

No false alarm: a NACK, and a settlement whose effect is uncertain (aborted, late, unanswered, or cumulative in 1.0),
leaves its messages ALLOWED.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from conformance.models.stomp.entities import INDIVIDUAL, NO_CLAUSE, CopyState, MessageDelivery

if TYPE_CHECKING:
    from conformance.models.stomp.broker_under_test import FrameOutcome
    from conformance.models.stomp.entities import Session
    from conformance.models.stomp.judging import VersionJudge

OutcomeHandler = Callable[["FrameOutcome"], None]
"""Function that a method returns, to be called with the answer to its frame."""


class Settling:
    """Judge of ACK and NACK; keeps which deliveries they settle."""

    def __init__(self, judge: "VersionJudge") -> None:
        self._judge = judge

    def ack(self, delivery: MessageDelivery) -> OutcomeHandler:
        """ACK of a delivery that must be settled."""
        suspect, suspects = delivery.copy.suspect, set(delivery.copy.suspects)
        self.consume(delivery)

        def handle_outcome(outcome: "FrameOutcome") -> None:
            cleared = suspects if outcome.granted else {suspect}
            for clause in (*cleared, "STOMP-ACK-002"):
                self._judge(
                    clause or None,
                    outcome.granted,
                    expected=f"a RECEIPT: {delivery.copy.message} is to be settled",
                    observed=outcome,
                )

        return handle_outcome

    def nack(self, delivery: MessageDelivery) -> OutcomeHandler:
        """NACK of a delivery that must be settled: the server may redeliver its message at once."""
        self.give_back(delivery)

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self._judge(
                "STOMP-NACK-001", outcome.granted, expected="a RECEIPT for the NACK", observed=outcome
            )

        return handle_outcome

    def late(self, delivery: MessageDelivery) -> OutcomeHandler:
        """ACK or NACK of a delivery that is settled or may be: RECEIPT and refusal are both allowed."""
        is_doubtful = not delivery.is_settled
        if is_doubtful:
            delivery.copy.set_state(CopyState.ALLOWED)
            delivery.subscription.session.settle(delivery)
        clause = "STOMP-UNSUB-005" if is_doubtful and delivery.subscription.is_gone else "STOMP-ACK-005"

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self._judge(clause, outcome.granted, expected="a RECEIPT", observed=outcome)

        return handle_outcome

    def stray(
        self, session: "Session", key: tuple[tuple[str, str], ...], sessions: "list[Session]"
    ) -> OutcomeHandler:
        """ACK that names no delivery of its session: it must not settle any other session's delivery."""

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self._judge(
                "STOMP-ACK-010",
                not outcome.granted,
                expected="no RECEIPT: it names no message",
                observed=outcome,
            )
            for other in sessions:
                for delivery in other.unsettled:
                    if delivery.key == key or (other is session and outcome.granted):
                        delivery.copy.suspects = {"STOMP-ACK-004"}

        return handle_outcome

    def consume(
        self, delivery: MessageDelivery, clause: str = "STOMP-ACK-002", earlier: str = "STOMP-SUB-010"
    ) -> None:
        """Apply an ACK. `clause` is broken if its message comes again, `earlier` if one of the other covered messages
        does.
        """
        session = delivery.subscription.session
        for each in self.covered(delivery):
            is_named = each is delivery
            if each.doubt:
                each.copy.set_state(CopyState.ALLOWED)
            elif not is_named and session.version == "1.0":
                # The text does not say whether an ACK of 1.0 covers earlier messages.
                each.doubt = NO_CLAUSE
                continue
            else:
                each.copy.set_state(CopyState.FORBIDDEN, clause if is_named else earlier)
            session.settle(each)
        self._suspect(delivery, "STOMP-SUB-012")

    def give_back(self, delivery: MessageDelivery) -> None:
        """Apply a NACK: the server may redeliver, drop or set aside its messages (STOMP-NACK-001)."""
        for each in self.covered(delivery):
            each.copy.set_state(CopyState.ALLOWED)
            delivery.subscription.session.settle(each)
        self._suspect(delivery, "STOMP-NACK-002")

    def doubt(self, delivery: MessageDelivery, clause: str) -> None:
        """Note that these messages may be settled or not; `clause` is broken if they are lost."""
        for each in self.covered(delivery):
            is_clear = each.copy.suspects <= {clause}
            each.doubt = clause if is_clear else NO_CLAUSE
            each.copy.set_state(CopyState.ALLOWED)

    @staticmethod
    def covered(delivery: MessageDelivery) -> list[MessageDelivery]:
        """Return the delivery and, in mode client, earlier ones of its subscription (STOMP-SUB-010, STOMP-NACK-003)."""
        if delivery.subscription.mode == INDIVIDUAL:
            return [delivery]
        unsettled = delivery.subscription.unsettled
        return unsettled[: unsettled.index(delivery) + 1]

    @staticmethod
    def _suspect(delivery: MessageDelivery, within: str) -> None:
        """Suspect this settlement if another message of the session proves to be settled."""
        for other in delivery.subscription.session.unsettled:
            if other.subscription is not delivery.subscription:
                other.copy.suspects.add("STOMP-SUB-011")
            else:
                is_alone = delivery.subscription.mode == INDIVIDUAL
                other.copy.suspects.add(within if is_alone else "STOMP-ACK-001")
