"""The model of the whole broker: sessions, destinations, and one method for each operation.

A method is called before its frame is sent, because the frame's effects may show before its answer. Most methods
return a function to call with the answer.

Condition at rest, for each copy of a message: a copy that must come has come once every session was read and waited
for with the whole patience; a copy that must not come never came.

No false alarm: a copy must come only to subscriptions confirmed by a RECEIPT, and, of a queue, only if no ended
subscription may still consume it and no taker may have exhausted its window of unsettled messages.
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
    """Known state of a server with plain destinations, in sessions of one version.

    `redelivers`, `keeps`, `findings`: as in `BrokerUnderTest`. A broken MUST raises Violation.
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
        """Return a new destination."""
        return self.destinations.setdefault(name, Destination(name, is_queue, self._keeps))

    def add_session(self) -> Session:
        """Return a newly opened session."""
        session = Session(len(self.sessions), self.version)
        self.sessions.append(session)
        return session

    # Subscriptions

    def subscribe(
        self, session: Session, identifier: str, destination: Destination, mode: str
    ) -> "OutcomeHandler":
        """SUBSCRIBE with an id that is not in use; an id used before may be refused."""
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
        """UNSUBSCRIBE: unsettled messages may go to others now, or when the session ends."""
        subscription.is_active = False
        self._doubt_all(subscription)

        def handle_outcome(outcome: "FrameOutcome") -> None:
            self._doubt_all(subscription)  # includes messages that crossed the UNSUBSCRIBE
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
        """Allow redelivery of unsettled messages: the text does not say whether an ended subscription can settle
        them.
        """
        for delivery in subscription.unsettled:
            delivery.doubt = delivery.doubt or "STOMP-ACK-001"
            delivery.copy.set_state(CopyState.ALLOWED)

    # Messages

    def new_message(self, destination: Destination) -> Message:
        """Return a message with a unique body, not sent yet."""
        number = len(self.messages) + 1
        message = Message(number, destination, f"message {number}".encode())
        self.messages[message.body] = message
        destination.messages.append(message)
        return message

    def send(self, message: Message) -> "OutcomeHandler":
        """SEND outside a transaction."""
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
        """SEND in an open transaction."""
        message.set_state(CopyState.FORBIDDEN, "STOMP-TX-004")
        message.audience = message.destination.active
        session.transactions[transaction].messages.append(message)

    def settle_in(
        self, session: Session, transaction: str, delivery: MessageDelivery, *, is_ack: bool
    ) -> None:
        """ACK or NACK in an open transaction; a NACK may take effect at once (STOMP-NACK-004)."""
        session.transactions[transaction].settlements.append((delivery, is_ack))
        if is_ack:
            for each in self.settling.covered(delivery):
                each.copy.suspects.add("STOMP-ACK-006")
        else:
            self.settling.doubt(delivery, NO_CLAUSE)

    def observe_message(self, session: Session, frame: "Frame") -> None:
        """Judge a MESSAGE frame, which may have crossed our DISCONNECT."""
        self._message_checks.check(session, frame)
        if session.is_over:
            self._return_all(session)

    # Endings

    def judge_dropped(self, message: Message) -> None:
        """Require that a SEND behind a frame with an ERROR has no effect (STOMP-ERROR-002)."""
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
        """End a session, by DISCONNECT (`orderly`) or without one; called before or after the end of the connection."""
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
            is_certain = False  # the server may redeliver nothing at all
        if is_certain and (self._keeps or destination.active):
            copy.set_state(CopyState.DUE, clause)
        else:
            copy.set_state(CopyState.ALLOWED)

    def _mark_swallowing(self, subscription: Subscription) -> None:
        """Note that an ended subscription may consume messages until the server notices the loss of its connection.

        Messages consumed in client modes come back on servers that redeliver.
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
        """Allow, but no longer require, all messages of the destination that are on their way or unsettled."""
        for message in destination.messages:
            for copy in message.copies:
                if copy.state is CopyState.DUE:
                    copy.set_state(CopyState.ALLOWED)
                if copy.delivery is not None and copy.delivery.doubt:
                    copy.delivery.doubt = NO_CLAUSE

    # Messages that must come, and messages that must not

    def due(self) -> list[MessageCopy]:
        """Return the copies that must come now."""
        return [
            copy
            for destination in self.destinations.values()
            if destination.subscriptions
            for message in destination.messages
            for copy in message.copies
            if copy.state is CopyState.DUE and self._must_come(copy, destination)
        ]

    def _must_come(self, copy: MessageCopy, destination: Destination) -> bool:
        """True if no subscription that may take the copy can be held back by a window of unsettled messages."""
        takers = destination.active if copy.subscription is None else [copy.subscription]
        return bool(takers) and all(each.is_active and self._findings.takes_more(each) for each in takers)

    def judge_absences(self) -> None:
        """At the end, pass the clauses that forbid a message: no forbidden message came."""
        kept: list[Message | MessageCopy] = [
            *self.messages.values(),
            *(copy for each in self.messages.values() for copy in each.copies),
        ]
        forbidden = {each.clause for each in kept if each.state is CopyState.FORBIDDEN}
        if "STOMP-SUB-008" in forbidden:
            forbidden.add("STOMP-SUB-007")  # these SUBSCRIBE frames had no `ack`
        for clause in sorted(filter(None, forbidden)):
            self.judge(clause, True, expected="no delivery", observed="no delivery")

    def missing(self, copy: MessageCopy) -> None:
        """Fail the clause of a copy that must come and did not come within the patience."""
        taker = copy.subscription or " or ".join(map(str, copy.message.destination.active))
        came = f"it came {copy.arrivals} times before" if copy.arrivals else "it never came"
        self.judge(
            copy.clause,
            False,
            expected=f"{copy.message} of {copy.message.destination} for {taker}",
            observed=f"nothing; {came}",
        )
        copy.set_state(CopyState.ALLOWED)
