"""ACK and NACK: which deliveries one of them settles, and what the text allows for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from conformance.models.stomp.entities import INDIVIDUAL, NO_CLAUSE, CopyState, MessageDelivery

if TYPE_CHECKING:
    from conformance.models.stomp.broker_under_test import FrameOutcome
    from conformance.models.stomp.entities import Session
    from conformance.models.stomp.judging import VersionJudge

OutcomeHandler = Callable[["FrameOutcome"], None]
"""What a method hands back: to be told how its frame was answered."""


class Settling:
    """Judges ACK and NACK, and keeps what they settle."""

    def __init__(self, judge: "VersionJudge") -> None:
        self._judge = judge

    def ack(self, delivery: MessageDelivery) -> OutcomeHandler:
        """An ACK of a delivery that is certainly to be settled."""
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
        """A NACK of such a delivery: the server may deliver its message at once."""
        self.give_back(delivery)

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self._judge(
                "STOMP-NACK-001", outcome.granted, expected="a RECEIPT for the NACK", observed=outcome
            )

        return handle_outcome

    def late(self, delivery: MessageDelivery) -> OutcomeHandler:
        """An ACK or NACK of a delivery that is settled, or perhaps is: anything but a lie is fine."""
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
        """An ACK that names nothing that its own session was ever sent: it must not settle anything."""

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
        """An ACK has taken effect; `clause` is broken if its message comes again, `earlier` for those it covers."""
        session = delivery.subscription.session
        for each in self.covered(delivery):
            is_named = each is delivery
            if each.doubt:
                each.copy.set_state(CopyState.ALLOWED)
            elif not is_named and session.version == "1.0":
                # Whether an ACK of 1.0 covers earlier messages isn't said.
                each.doubt = NO_CLAUSE
                continue
            else:
                each.copy.set_state(CopyState.FORBIDDEN, clause if is_named else earlier)
            session.settle(each)
        self._suspect(delivery, "STOMP-SUB-012")

    def give_back(self, delivery: MessageDelivery) -> None:
        """A NACK may have taken effect: again, dropped or put aside, all is legal (STOMP-NACK-001)."""
        for each in self.covered(delivery):
            each.copy.set_state(CopyState.ALLOWED)
            delivery.subscription.session.settle(each)
        self._suspect(delivery, "STOMP-NACK-002")

    def doubt(self, delivery: MessageDelivery, clause: str) -> None:
        """It isn't known whether these messages are still to be settled; `clause` is broken if they are lost."""
        for each in self.covered(delivery):
            is_clear = each.copy.suspects <= {clause}
            each.doubt = clause if is_clear else NO_CLAUSE
            each.copy.set_state(CopyState.ALLOWED)

    @staticmethod
    def covered(delivery: MessageDelivery) -> list[MessageDelivery]:
        """The delivery and, in mode client, earlier ones of its subscription (STOMP-SUB-010, STOMP-NACK-003)."""
        if delivery.subscription.mode == INDIVIDUAL:
            return [delivery]
        unsettled = delivery.subscription.unsettled
        return unsettled[: unsettled.index(delivery) + 1]

    @staticmethod
    def _suspect(delivery: MessageDelivery, within: str) -> None:
        """If another message of the session turns out to be settled, this one may be why."""
        for other in delivery.subscription.session.unsettled:
            if other.subscription is not delivery.subscription:
                other.copy.suspects.add("STOMP-SUB-011")
            else:
                is_alone = delivery.subscription.mode == INDIVIDUAL
                other.copy.suspects.add(within if is_alone else "STOMP-ACK-001")
