"""A small conforming STOMP broker in memory, in which every freedom of the text is a choice.

The model must accept every combination of choices. The broker exchanges decoded frames, and shares no code with the
reference server.
"""

import random

from tests.models_stomp.toy_state import (
    BrokerChoices,
    Pending,
    Refused,
    Step,
    Stored,
    Subscription,
    ToyDestination,
    ToySession,
)


class ToyBroker:
    """Plain destinations: names that begin with `queue` are queues."""

    def __init__(self, choices: BrokerChoices, version: str) -> None:
        self.choices = choices
        self.version = version
        self.random = random.Random(choices.seed)
        self.destinations: dict[str, ToyDestination] = {}
        self.numbers = 0
        self.lost_sessions: list[tuple[ToySession, int]] = []
        self.handled = 0
        self.granting: tuple[ToySession, str] | None = None

    def connect(self) -> ToySession:
        return ToySession(self)

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    # Frames

    def handle(self, session: ToySession, command: str, headers: dict[str, str], body: bytes) -> None:
        self.handled += 1
        self.notice_lost()
        receipt = headers.pop("receipt", None)
        self.granting = (session, receipt) if receipt is not None else None
        if self.choices.receipt_first and self.is_plainly_fine(command, headers):
            self.grant()
        try:
            self.carry_out(session, command, headers, body)
        except Refused as refusal:
            self.granting = None
            named = {"receipt-id": receipt} if receipt is not None else {}
            session.emit("ERROR", {"message": str(refusal), **named})
            self.die(session)
            return
        self.grant()
        if command == "DISCONNECT":
            self.die(session)

    def is_plainly_fine(self, command: str, headers: dict[str, str]) -> bool:
        return command == "SEND" and "transaction" not in headers and "destination" in headers

    def grant(self) -> None:
        if self.granting is not None:
            session, receipt = self.granting
            session.emit("RECEIPT", {"receipt-id": receipt})
            self.granting = None

    def carry_out(self, session: ToySession, command: str, headers: dict[str, str], body: bytes) -> None:
        name = headers.get("transaction")
        if command in ("BEGIN", "COMMIT", "ABORT"):
            self.transact(session, command, name)
        elif name is not None and command in ("SEND", "ACK", "NACK"):
            if name not in session.transactions:
                raise Refused("no such transaction")
            self.in_transaction(session, name, (command, headers, body))
        else:
            self.perform(session, command, headers, body)

    def in_transaction(self, session: ToySession, name: str, step: Step) -> None:
        command, headers, _ = step
        if command == "NACK" and self.choices.nack_in_transaction == "at once":
            self.settle(session, headers, consumed=False)
            return
        session.transactions[name].append(step)

    def perform(self, session: ToySession, command: str, headers: dict[str, str], body: bytes) -> None:
        if command == "SEND":
            self.put(self.destination(headers), Stored(self.number(), body))
        elif command == "SUBSCRIBE":
            self.subscribe(session, headers)
        elif command == "UNSUBSCRIBE":
            self.unsubscribe(session, headers)
        elif command in ("ACK", "NACK"):
            self.settle(session, headers, consumed=command == "ACK")
        elif command != "DISCONNECT":
            raise Refused("unknown command")

    # Transactions

    def transact(self, session: ToySession, command: str, name: str | None) -> None:
        if name is None:
            raise Refused("no name")
        if command == "BEGIN":
            self.begin(session, name)
            return
        if name not in session.transactions:
            raise Refused("no such transaction")
        if command == "COMMIT":
            self.commit(session, name)
        else:
            self.abort(session, session.transactions.pop(name))

    def begin(self, session: ToySession, name: str) -> None:
        if name in session.transactions:
            if self.choices.begin_again == "refuse":
                raise Refused("already open")
            return
        if name in session.used_names and self.choices.used_ids == "refuse":
            raise Refused("a used name")
        session.used_names.add(name)
        session.transactions[name] = []

    def commit(self, session: ToySession, name: str) -> None:
        steps = session.transactions[name]
        for command, headers, _ in steps:
            if command != "SEND" and self.find(session, headers) is None:
                self.check_late(session, headers)
        del session.transactions[name]
        for command, headers, body in steps:
            self.perform(session, command, headers, body)

    def abort(self, session: ToySession, steps: list[Step]) -> None:
        if self.choices.aborted == "anew":
            for command, headers, _ in steps:
                found = self.find(session, headers) if command == "ACK" else None
                if found is not None:
                    subscription, pending = found
                    self.forget(subscription, pending)
                    self.take_back(self.destination_of(subscription), [pending.stored])

    # Subscriptions

    def destination(self, headers: dict[str, str]) -> ToyDestination:
        if "destination" not in headers:
            raise Refused("no destination")
        return self.destination_named(headers["destination"])

    def destination_named(self, name: str) -> ToyDestination:
        return self.destinations.setdefault(name, ToyDestination(name, name.startswith("queue")))

    def destination_of(self, subscription: Subscription) -> ToyDestination:
        return self.destination_named(subscription.destination)

    def subscribe(self, session: ToySession, headers: dict[str, str]) -> None:
        destination, identifier = self.destination(headers), headers.get("id", headers.get("destination", ""))
        if identifier in session.subscriptions:
            raise Refused("id in use")
        if identifier in session.used_ids and self.choices.used_ids == "refuse":
            raise Refused("id used before")
        session.used_ids.add(identifier)
        subscription = Subscription(identifier, destination.name, headers.get("ack", "auto"), session)
        session.subscriptions[identifier] = subscription
        destination.subscriptions.append(subscription)
        self.hand_out(destination)

    def unsubscribe(self, session: ToySession, headers: dict[str, str]) -> None:
        subscription = session.subscriptions.pop(headers.get("id", ""), None)
        if subscription is None:
            raise Refused("no such subscription")
        destination = self.destination_of(subscription)
        destination.subscriptions.remove(subscription)
        pending, subscription.pending = subscription.pending, []
        session.former |= {(subscription.id, each.message_id) for each in pending}
        session.former |= {("", each.ack) for each in pending}
        stored = [each.stored for each in pending]
        if self.choices.unsubscribed == "hold":
            subscription.held = stored
            session.subscriptions[f"held {self.number()}"] = subscription
        else:
            self.take_back(destination, stored)
        self.left(destination)

    def left(self, destination: ToyDestination) -> None:
        if not destination.subscriptions and not self.choices.keeps:
            destination.waiting.clear()

    # Messages

    def put(self, destination: ToyDestination, stored: Stored) -> None:
        if destination.is_queue:
            if self.choices.keeps or destination.subscriptions:
                destination.waiting.append(stored)
                self.hand_out(destination)
            return
        for subscription in list(destination.subscriptions):
            self.deliver(subscription, stored)

    def takers(self, destination: ToyDestination) -> list[Subscription]:
        window = self.choices.window
        return [each for each in destination.subscriptions if window is None or len(each.pending) < window]

    def hand_out(self, destination: ToyDestination) -> None:
        while destination.is_queue and destination.waiting and (takers := self.takers(destination)):
            self.deliver(self.choose(destination, takers), destination.waiting.popleft())

    def choose(self, destination: ToyDestination, takers: list[Subscription]) -> Subscription:
        destination.turns += 1
        turn = self.choices.turn
        if turn == "random":
            return self.random.choice(takers)
        return takers[{"first": 0, "last": -1}.get(turn, destination.turns % len(takers))]

    def deliver(self, subscription: Subscription, stored: Stored) -> None:
        number = self.number()
        message_id = f"m{stored.number}" if self.choices.message_ids == "per message" else f"d{number}"
        ack = f"a{number}" if self.choices.acks == "numbers" else message_id
        headers = {
            "subscription": subscription.id,
            "message-id": message_id,
            "destination": subscription.destination,
        }
        if subscription.mode != "auto":
            subscription.pending.append(Pending(stored, message_id, ack))
            if self.version == "1.2":
                headers["ack"] = ack
        subscription.session.emit("MESSAGE", headers, stored.body)

    def take_back(self, destination: ToyDestination, returned: list[Stored]) -> None:
        if destination.is_queue:
            if self.choices.back_to == "front":
                destination.waiting.extendleft(reversed(returned))
            else:
                destination.waiting.extend(returned)
            self.hand_out(destination)

    # Settling

    def find(self, session: ToySession, headers: dict[str, str]) -> tuple[Subscription, Pending] | None:
        for subscription in session.subscriptions.values():
            if self.version == "1.1" and subscription.id != headers.get("subscription"):
                continue
            for pending in subscription.pending:
                value = pending.ack if self.version == "1.2" else pending.message_id
                if value == headers.get("id" if self.version == "1.2" else "message-id"):
                    return subscription, pending
        return None

    def check_late(self, session: ToySession, headers: dict[str, str]) -> None:
        value = headers.get("id") if self.version == "1.2" else headers.get("message-id")
        named = {(headers.get("subscription", ""), value), ("", value)}
        is_late = any(each in session.former or each[1] == value for each in named & session.former)
        if not is_late or self.choices.late == "refuse":
            raise Refused("nothing to settle")

    def settle(self, session: ToySession, headers: dict[str, str], *, consumed: bool) -> None:
        found = self.find(session, headers)
        if found is None:
            self.check_late(session, headers)
            return
        subscription, pending = found
        covered = self.covered(subscription, pending)
        for each in covered:
            self.forget(subscription, each)
        destination = self.destination_of(subscription)
        if not consumed and self.choices.nack == "again":
            self.take_back(destination, [each.stored for each in covered])
        self.hand_out(destination)

    def covered(self, subscription: Subscription, pending: Pending) -> list[Pending]:
        if subscription.mode == "client-individual" or (
            self.version == "1.0" and not self.choices.cumulative_1_0
        ):
            return [pending]
        return subscription.pending[: subscription.pending.index(pending) + 1]

    def forget(self, subscription: Subscription, pending: Pending) -> None:
        subscription.pending.remove(pending)
        subscription.session.former |= {(subscription.id, pending.message_id), ("", pending.ack)}
        if self.version == "1.0":
            subscription.session.former.add(("", pending.message_id))

    # Endings

    def die(self, session: ToySession) -> None:
        """End a session from the broker's side, after the frames on their way."""
        session.is_dead = True
        self.clean_up(session)

    def lost(self, session: ToySession) -> None:
        session.is_dead = True
        if self.choices.notices_late:
            self.lost_sessions.append((session, self.handled + 4))
        else:
            self.clean_up(session)

    def notice_lost(self, *, now: bool = False) -> bool:
        due = [session for session, when in self.lost_sessions if now or when <= self.handled]
        self.lost_sessions = [pair for pair in self.lost_sessions if pair[0] not in due]
        for session in due:
            self.clean_up(session)
        return bool(due)

    def clean_up(self, session: ToySession) -> None:
        session.transactions.clear()
        subscriptions = list(session.subscriptions.values())
        session.subscriptions.clear()
        for subscription in subscriptions:
            destination = self.destination_of(subscription)
            if subscription in destination.subscriptions:
                destination.subscriptions.remove(subscription)
        for subscription in subscriptions:
            destination = self.destination_of(subscription)
            stored = [*subscription.held, *(pending.stored for pending in subscription.pending)]
            if self.choices.redelivers:
                self.take_back(destination, stored)
            self.left(destination)
