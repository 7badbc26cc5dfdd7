"""Brokers in memory with one fault each, and the clauses on which the model may find it.

The first clause is the one that the fault breaks. The others are those that the first wrong frame may break instead.
"""

from typing import Any, NamedTuple

from tests.models_stomp.toy_broker import ToyBroker
from tests.models_stomp.toy_state import Pending, Refused, Stored, Subscription, ToyDestination, ToySession


class BrokerFault(NamedTuple):
    broker: type[ToyBroker]
    versions: tuple[str, ...]
    clauses: frozenset[str]


FAULTS: dict[str, BrokerFault] = {}
ALL, LATER = ("1.0", "1.1", "1.2"), ("1.1", "1.2")


def breaks(*clauses: str, versions: tuple[str, ...] = LATER) -> Any:
    def register(broker: type[ToyBroker]) -> type[ToyBroker]:
        FAULTS[broker.__name__] = BrokerFault(broker, versions, frozenset(clauses))
        return broker

    return register


# Messages


@breaks("STOMP-SEND-002", "STOMP-TX-003", "STOMP-TX-004", "STOMP-SUB-014", versions=ALL)
class LosesOneInSeven(ToyBroker):
    def put(self, destination: ToyDestination, stored: Stored) -> None:
        if stored.number % 7:
            super().put(destination, stored)


@breaks("STOMP-SUB-008", "STOMP-SUB-007", "STOMP-SUB-017", versions=ALL)
class DeliversToOneAgain(ToyBroker):
    def deliver(self, subscription: Subscription, stored: Stored) -> None:
        super().deliver(subscription, stored)
        if subscription.mode == "auto" and stored.number % 5 == 0:
            super().deliver(subscription, stored)


@breaks("STOMP-SUB-017", "STOMP-SUB-008")
class GivesAQueuesMessageToAll(ToyBroker):
    def hand_out(self, destination: ToyDestination) -> None:
        if destination.waiting and len(destination.subscriptions) > 1:
            stored = destination.waiting.popleft()
            for subscription in list(destination.subscriptions):
                self.deliver(subscription, stored)
        super().hand_out(destination)


@breaks("STOMP-SUB-014", "STOMP-SEND-002")
class GivesAConnectionOneCopy(ToyBroker):
    def put(self, destination: ToyDestination, stored: Stored) -> None:
        if destination.is_queue:
            super().put(destination, stored)
            return
        for session in {each.session: each for each in destination.subscriptions}.values():
            self.deliver(session, stored)


@breaks("STOMP-SEND-005", versions=ALL)
class CutsABody(ToyBroker):
    def put(self, destination: ToyDestination, stored: Stored) -> None:
        body = stored.body[:-1] if stored.number % 4 == 0 else stored.body
        super().put(destination, Stored(stored.number, body + (b" " if body != stored.body else b"")))


@breaks("STOMP-MESSAGE-002", "STOMP-ACK-002", "STOMP-ACK-001", versions=ALL)
class RepeatsMessageIds(ToyBroker):
    def put(self, destination: ToyDestination, stored: Stored) -> None:
        super().put(destination, Stored(stored.number % 3, stored.body))


@breaks("STOMP-MESSAGE-004", versions=("1.2",))
class RepeatsAckValues(ToyBroker):
    def deliver(self, subscription: Subscription, stored: Stored) -> None:
        count = len(subscription.pending)
        numbers, self.numbers = self.numbers, 3
        try:
            super().deliver(subscription, stored)
        finally:
            self.numbers = numbers + 1
        if len(subscription.pending) > count:
            subscription.pending[-1].message_id = f"m{stored.number}"


@breaks("STOMP-SUB-006", "STOMP-SEND-006", "STOMP-UNSUB-001", "STOMP-SEND-002", "STOMP-SUB-001")
class MixesConnectionsUp(ToyBroker):
    def deliver(self, subscription: Subscription, stored: Stored) -> None:
        others = [
            other
            for destination in self.destinations.values()
            for other in destination.subscriptions
            if other.id == subscription.id and other.mode == "auto" == subscription.mode
        ]
        mine, subscription.session = (
            subscription.session,
            others[-1].session if others else subscription.session,
        )
        super().deliver(subscription, stored)
        subscription.session = mine


# Subscriptions


@breaks("STOMP-UNSUB-001", versions=ALL)
class ForgetsToRemove(ToyBroker):
    def unsubscribe(self, session: ToySession, headers: dict[str, str]) -> None:
        subscription = session.subscriptions.get(headers.get("id", ""))
        super().unsubscribe(session, headers)
        if subscription is not None and subscription.mode == "auto":
            destination = self.destination_of(subscription)
            if not destination.is_queue:
                destination.subscriptions.append(subscription)


@breaks("STOMP-SUB-005")
class ReplacesASubscription(ToyBroker):
    def subscribe(self, session: ToySession, headers: dict[str, str]) -> None:
        if headers.get("id", "") in session.subscriptions:
            self.unsubscribe(session, {"id": headers["id"]})
        super().subscribe(session, headers)


@breaks("STOMP-SUB-004", "STOMP-SEND-001", versions=ALL)
class AsksForNoDestination(ToyBroker):
    def destination(self, headers: dict[str, str]) -> ToyDestination:
        return self.destination_named(headers.get("destination", "nowhere"))


# Acknowledgement


@breaks("STOMP-SUB-008", "STOMP-SUB-007", versions=ALL)
class ReturnsWhatNeedsNoAck(ToyBroker):
    def deliver(self, subscription: Subscription, stored: Stored) -> None:
        super().deliver(subscription, stored)
        if subscription.mode == "auto":
            subscription.held.append(stored)


@breaks("STOMP-ACK-001", versions=ALL)
class ForgetsWhatWasNotSettled(ToyBroker):
    def clean_up(self, session: ToySession) -> None:
        for subscription in session.subscriptions.values():
            subscription.pending.clear()
        super().clean_up(session)


@breaks("STOMP-ACK-002", "STOMP-SUB-010", versions=ALL)
class ForgetsAnAck(ToyBroker):
    def settle(self, session: ToySession, headers: dict[str, str], *, consumed: bool) -> None:
        found = self.find(session, headers)
        super().settle(session, headers, consumed=consumed)
        if found is not None and consumed and found[1].stored.number % 3 == 0:
            self.take_back(self.destination_of(found[0]), [found[1].stored])


@breaks("STOMP-ACK-001", "STOMP-ACK-002", "STOMP-SUB-017")
class CoversOneTooMany(ToyBroker):
    def covered(self, subscription: Subscription, pending: Pending) -> list[Pending]:
        covered = super().covered(subscription, pending)
        if subscription.mode == "client":
            return subscription.pending[: len(covered) + 1]
        return covered


@breaks("STOMP-SUB-010")
class CoversOnlyTheNamed(ToyBroker):
    def covered(self, subscription: Subscription, pending: Pending) -> list[Pending]:
        return [pending]


@breaks("STOMP-SUB-012", "STOMP-NACK-002", "STOMP-ACK-001", "STOMP-ACK-002", "STOMP-SUB-017")
class CoversMoreThanTheNamed(ToyBroker):
    def covered(self, subscription: Subscription, pending: Pending) -> list[Pending]:
        return subscription.pending[: subscription.pending.index(pending) + 1]


@breaks("STOMP-SUB-011", "STOMP-ACK-001", "STOMP-ACK-002")
class CoversOtherSubscriptions(ToyBroker):
    def settle(self, session: ToySession, headers: dict[str, str], *, consumed: bool) -> None:
        found = self.find(session, headers)
        super().settle(session, headers, consumed=consumed)
        if consumed and found is not None and found[0].mode == "client":
            for subscription in session.subscriptions.values():
                if subscription is not found[0]:
                    subscription.pending[:] = subscription.pending[1:]


@breaks("STOMP-ACK-004", "STOMP-ACK-010", versions=("1.2",))
class LetsOthersAcknowledge(ToyBroker):
    def find(self, session: ToySession, headers: dict[str, str]) -> tuple[Subscription, Pending] | None:
        for destination in self.destinations.values():
            for subscription in destination.subscriptions:
                if (found := super().find(subscription.session, headers)) is not None:
                    return found
        return super().find(session, headers)


@breaks("STOMP-NACK-001")
class KnowsNoNack(ToyBroker):
    def settle(self, session: ToySession, headers: dict[str, str], *, consumed: bool) -> None:
        if not consumed:
            raise Refused("unknown command")
        super().settle(session, headers, consumed=consumed)


# A COMMIT with a RECEIPT, of which nothing is carried out, breaks STOMP-TX-003 as well.
@breaks("STOMP-RECEIPT-003", "STOMP-TX-003", versions=ALL)
class GrantsAndThenRefuses(ToyBroker):
    def check_late(self, session: ToySession, headers: dict[str, str]) -> None:
        self.grant()
        super().check_late(session, headers)


# Transactions


@breaks("STOMP-TX-004", "STOMP-TX-006", "STOMP-TX-003", versions=ALL)
class SendsAtOnce(ToyBroker):
    def in_transaction(self, session: ToySession, name: str, step: Any) -> None:
        if step[0] == "SEND":
            self.perform(session, *step)
        else:
            super().in_transaction(session, name, step)


@breaks("STOMP-TX-006", versions=ALL)
class CommitsWhatIsAborted(ToyBroker):
    def abort(self, session: ToySession, steps: Any) -> None:
        for step in steps:
            if step[0] == "SEND":
                self.perform(session, *step)


@breaks("STOMP-TX-008", "STOMP-TX-007", "STOMP-TX-003")
class CommitsWhatIsLost(ToyBroker):
    def clean_up(self, session: ToySession) -> None:
        steps = [step for steps in session.transactions.values() for step in steps]
        super().clean_up(session)
        for step in steps:
            if step[0] == "SEND":
                self.perform(session, *step)


@breaks("STOMP-TX-004", "STOMP-TX-003", "STOMP-SUB-014", versions=ALL)
class ForgetsTheLastSend(ToyBroker):
    def commit(self, session: ToySession, name: str) -> None:
        sends = [step for step in session.transactions[name] if step[0] == "SEND"]
        if len(sends) > 1:
            session.transactions[name].remove(sends[-1])
        super().commit(session, name)


@breaks("STOMP-TX-003", versions=ALL)
class CommitsHalf(ToyBroker):
    def commit(self, session: ToySession, name: str) -> None:
        for step in session.transactions.pop(name):
            self.perform(session, *step)


@breaks("STOMP-TX-004", "STOMP-TX-006", "STOMP-TX-005", "STOMP-TX-012", "STOMP-TX-015", versions=ALL)
class CommitsTheWrongOne(ToyBroker):
    def commit(self, session: ToySession, name: str) -> None:
        steps = [step for steps in session.transactions.values() for step in steps]
        for other in session.transactions:
            session.transactions[other] = []
        session.transactions[name] = steps
        super().commit(session, name)


@breaks("STOMP-TX-014", versions=("1.2",))
class ForgetsAtTheSecondBegin(ToyBroker):
    def begin(self, session: ToySession, name: str) -> None:
        session.used_names.add(name)
        session.transactions[name] = []


@breaks("STOMP-ACK-006", versions=ALL)
class SettlesAtOnce(ToyBroker):
    def in_transaction(self, session: ToySession, name: str, step: Any) -> None:
        if step[0] == "ACK" and self.find(session, step[1]) is not None:
            self.perform(session, *step)
        else:
            super().in_transaction(session, name, step)


@breaks("STOMP-TX-005", "STOMP-TX-015", versions=ALL)
class ObeysUnknownNames(ToyBroker):
    def transact(self, session: ToySession, command: str, name: str | None) -> None:
        if command == "BEGIN" or name in session.transactions:
            super().transact(session, command, name)


# Answers


@breaks("STOMP-ERROR-001", "STOMP-ERROR-002", versions=("1.2",))
class StaysOpenAfterAnError(ToyBroker):
    def die(self, session: ToySession) -> None:
        pass


@breaks("STOMP-RECEIPT-001", versions=ALL)
class GrantsTwice(ToyBroker):
    def grant(self) -> None:
        granting = self.granting
        super().grant()
        if granting is not None and self.handled % 9 == 0:
            granting[0].emit("RECEIPT", {"receipt-id": granting[1]})


@breaks("STOMP-RECEIPT-008", "STOMP-RECEIPT-002", versions=ALL)
class GrantsUnasked(ToyBroker):
    def put(self, destination: ToyDestination, stored: Stored) -> None:
        super().put(destination, stored)
        for subscription in destination.subscriptions[:1]:
            subscription.session.emit("RECEIPT", {"receipt-id": "nobody-asked"})
