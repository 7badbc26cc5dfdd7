"""The model of the whole: sessions, destinations, and one method for each operation.

Most operations are two calls: the method when the frame is sent, for its effect may show at once, and what it hands
back when the answer is there.
"""

from typing import TYPE_CHECKING

from conformance.models.stomp.entities import (
    AUTO,
    NO_CLAUSE,
    CopyState,
    Destination,
    Message,
    MessageCopy,
    MessageDelivery,
    Session,
    Subscription,
)
from conformance.models.stomp.judging import VersionJudge
from conformance.models.stomp.message_checks import MessageChecks
from conformance.models.stomp.server_findings import ServerFindings
from conformance.models.stomp.settling import Settling
from conformance.models.stomp.transactions import Transactions

if TYPE_CHECKING:
    from conformance.models.judging import Judge
    from conformance.models.stomp.broker_under_test import FrameOutcome
    from conformance.models.stomp.settling import OutcomeHandler
    from conformance.wire.frames import Frame


class StompModel:
    """What is known of a server with plain destinations, in sessions of one version.

    `redelivers`, `keeps` and `findings`: see `system.BrokerUnderTest`. What breaks a MUST raises Violation.
    """

    def __init__(
        self,
        judge: "Judge",
        version: str,
        *,
        redelivers: bool,
        keeps: bool,
        findings: ServerFindings | None = None,
    ) -> None:
        self.judge = VersionJudge(judge, version)
        self.version = version
        self.sessions: list[Session] = []
        self.destinations: dict[str, Destination] = {}
        self.messages: dict[bytes, Message] = {}
        self.settling = Settling(self.judge)
        self.transactions = Transactions(self.judge, self.settling, self.sessions)
        self._redelivers = redelivers
        self._keeps = keeps
        self._findings = ServerFindings() if findings is None else findings
        self._message_checks = MessageChecks(self.judge, self.sessions, self.messages, self._findings)

    def add_destination(self, name: str, *, is_queue: bool) -> Destination:
        """A destination that nobody used before."""
        return self.destinations.setdefault(name, Destination(name, is_queue, self._keeps))

    def add_session(self) -> Session:
        """A session that was opened."""
        session = Session(len(self.sessions), self.version)
        self.sessions.append(session)
        return session

    # Subscriptions

    def subscribe(
        self, session: Session, identifier: str, destination: Destination, mode: str
    ) -> "OutcomeHandler":
        """SUBSCRIBE with an id that isn't in use; one that was used before may be refused."""
        used_before = any(each.id == identifier for each in session.removed)
        subscription = Subscription(identifier, destination, mode, session)
        session.subscriptions[identifier] = subscription
        destination.subscriptions.append(subscription)

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self.judge(
                "STOMP-UNSUB-004" if used_before else "STOMP-SUB-001",
                outcome.granted,
                expected=f"a RECEIPT for SUBSCRIBE to {destination}",
                observed=outcome,
            )
            subscription.is_active = outcome.granted

        return handle_outcome

    def unsubscribe(self, subscription: Subscription) -> "OutcomeHandler":
        """UNSUBSCRIBE: what is not settled may be delivered to others now, or when the session ends."""
        subscription.is_active = False
        self._doubt_all(subscription)

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self._doubt_all(subscription)  # also what crossed the UNSUBSCRIBE on its way
            self.judge(
                "STOMP-RECEIPT-001",
                outcome.granted,
                expected=f"a RECEIPT for UNSUBSCRIBE of {subscription}",
                observed=outcome,
            )
            subscription.is_gone = True
            session = subscription.session
            session.removed.append(session.subscriptions.pop(subscription.id))
            self._remove_subscription(subscription)

        return handle_outcome

    @staticmethod
    def _doubt_all(subscription: Subscription) -> None:
        """Whether what a removed subscription was sent can still be settled isn't said."""
        for delivery in subscription.unsettled:
            delivery.doubt = delivery.doubt or "STOMP-ACK-001"
            delivery.copy.set_state(CopyState.ALLOWED)

    # Messages

    def new_message(self, destination: Destination) -> Message:
        """A message that nobody has sent yet."""
        number = len(self.messages) + 1
        message = Message(number, destination, f"message {number}".encode())
        self.messages[message.body] = message
        destination.messages.append(message)
        return message

    def send(self, message: Message) -> "OutcomeHandler":
        """SEND outside of a transaction."""
        message.audience = message.destination.active

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self.judge(
                "STOMP-SEND-002",
                outcome.granted,
                expected=f"a RECEIPT for SEND of {message}",
                observed=outcome,
            )
            message.mark_sent("STOMP-SEND-002")

        return handle_outcome

    def send_in(self, session: Session, transaction: str, message: Message) -> None:
        """SEND in a transaction that is open."""
        message.set_state(CopyState.FORBIDDEN, "STOMP-TX-004")
        message.audience = message.destination.active
        session.transactions[transaction].messages.append(message)

    def settle_in(
        self, session: Session, transaction: str, delivery: MessageDelivery, *, is_ack: bool
    ) -> None:
        """ACK or NACK in a transaction that is open; a NACK may take effect at once (STOMP-NACK-004)."""
        session.transactions[transaction].settlements.append((delivery, is_ack))
        if is_ack:
            for each in self.settling.covered(delivery):
                each.copy.suspects.add("STOMP-ACK-006")
        else:
            self.settling.doubt(delivery, NO_CLAUSE)

    def arrived(self, session: Session, frame: "Frame") -> None:
        """A MESSAGE came, perhaps behind our DISCONNECT."""
        self._message_checks.arrived(session, frame)
        if session.is_over:
            self._return_all(session)

    # Endings

    def judge_dropped(self, message: Message) -> None:
        """A SEND that came behind a frame for which there was an ERROR."""
        if self.judge.has("STOMP-ERROR-002"):
            came = any(copy.arrivals for copy in message.copies)
            self.judge(
                "STOMP-ERROR-002",
                not came,
                expected=f"{message}, sent behind an ERROR, is dropped",
                observed="it came",
            )
            message.set_state(CopyState.FORBIDDEN, "STOMP-ERROR-002")

    def end(self, session: Session, *, orderly: bool = False) -> None:
        """The session is about to end, by DISCONNECT (`orderly`) or in any other way, or has ended."""
        if session.is_over:
            return
        session.is_over = True
        self.transactions.lost(session, orderly=orderly)
        for subscription in list(session.subscriptions.values()):
            subscription.is_active = False
            self._mark_swallowing(subscription)
            self._remove_subscription(subscription)
        self._return_all(session)

    def _return_all(self, session: Session) -> None:
        for delivery in list(session.unsettled):
            self._return(delivery)
            session.settle(delivery)

    def _return(self, delivery: MessageDelivery) -> None:
        copy, destination = delivery.copy, delivery.subscription.destination
        if copy.delivery is not delivery or not destination.is_queue:
            return
        known = next(iter(sorted(copy.suspects & self._findings.broken)), "")
        clause = delivery.doubt or known or copy.suspect or "STOMP-ACK-001"
        is_certain = self._redelivers and not destination.may_swallow and clause != NO_CLAUSE
        if clause != "STOMP-ACK-001" and not self._findings.redelivery:
            is_certain = False  # it could be lost because everything is
        if is_certain and (self._keeps or destination.active):
            copy.set_state(CopyState.DUE, clause)
        else:
            copy.set_state(CopyState.ALLOWED)

    def _mark_swallowing(self, subscription: Subscription) -> None:
        """When a server notices that a connection is gone isn't said: until then the subscription eats messages.

        Those in client modes are given back by servers that redeliver.
        """
        destination = subscription.destination
        if not destination.is_queue or (self._redelivers and subscription.mode != AUTO):
            return
        destination.may_swallow = True
        self._expect_nothing_more(destination)

    def _remove_subscription(self, subscription: Subscription) -> None:
        destination = subscription.destination
        destination.subscriptions.remove(subscription)
        if destination.is_queue and not self._keeps and not destination.active:
            self._expect_nothing_more(destination)

    @staticmethod
    def _expect_nothing_more(destination: Destination) -> None:
        """Nothing must come any more of what is on its way, or left by a subscription that was removed."""
        for message in destination.messages:
            for copy in message.copies:
                if copy.state is CopyState.DUE:
                    copy.set_state(CopyState.ALLOWED)
                if copy.delivery is not None and copy.delivery.doubt:
                    copy.delivery.doubt = NO_CLAUSE

    # What must come

    def due(self) -> list[MessageCopy]:
        """The copies that must come now."""
        return [
            copy
            for destination in self.destinations.values()
            if destination.subscriptions
            for message in destination.messages
            for copy in message.copies
            if copy.state is CopyState.DUE and self._must_come(copy, destination)
        ]

    def _must_come(self, copy: MessageCopy, destination: Destination) -> bool:
        """It may hold back what a session has to settle before it gets more: a window."""
        takers = destination.active if copy.subscription is None else [copy.subscription]
        return bool(takers) and all(each.is_active and self._findings.takes_more(each) for each in takers)

    def judge_absences(self) -> None:
        """At the end: what must not come did not come."""
        kept: list[Message | MessageCopy] = [
            *self.messages.values(),
            *(copy for each in self.messages.values() for copy in each.copies),
        ]
        barred = {each.clause for each in kept if each.state is CopyState.FORBIDDEN}
        if "STOMP-SUB-008" in barred:
            barred.add("STOMP-SUB-007")  # these SUBSCRIBE frames had no `ack`
        for clause in sorted(filter(None, barred)):
            self.judge(clause, True, expected="no delivery", observed="no delivery")

    def missing(self, copy: MessageCopy) -> None:
        """What is due did not come within the patience."""
        taker = copy.subscription or " or ".join(map(str, copy.message.destination.active))
        came = f"it came {copy.arrivals} times before" if copy.arrivals else "it never came"
        self.judge(
            copy.clause,
            False,
            expected=f"{copy.message} of {copy.message.destination} for {taker}",
            observed=f"nothing; {came}",
        )
        copy.set_state(CopyState.ALLOWED)
