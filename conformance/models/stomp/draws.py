"""Sessions, destinations, deliveries and transactions, chosen by numbers that Hypothesis draws.

The candidates depend on the server, so no rule may have one as a precondition: they may differ when Hypothesis
replays an example.
"""

from typing import TYPE_CHECKING, Any, cast

from hypothesis.stateful import RuleBasedStateMachine

from conformance.models.machines import ModelMachine
from conformance.models.stomp.driver import StompDriver
from conformance.models.stomp.entities import AUTO, CLIENT, INDIVIDUAL

if TYPE_CHECKING:
    from conformance.models.stomp.connections import ModelConnection
    from conformance.models.stomp.entities import Destination, MessageDelivery, Subscription

Headers = tuple[tuple[str, str], ...]

SESSIONS = 3
_IDS = ("0", "1", "2", "3")
_MOST_SUBSCRIPTIONS = 3
_MODES = {"1.0": (AUTO, CLIENT), "1.1": (AUTO, CLIENT, INDIVIDUAL), "1.2": (AUTO, CLIENT, INDIVIDUAL)}


class DrawingMachine(ModelMachine):
    """State machine with a STOMP driver.

    `destinations`: those of the example. `begun`: the names of transactions, by number of the session.
    """

    STATES = ("nothing to settle", "to settle", "in a transaction")

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        self.begin()
        self.stomp = StompDriver(cast("Any", self.system))
        self.driver = cast("Any", self.stomp)
        self.failed = False
        self.ready = False
        self.destinations: list[Destination] = []
        self.begun: dict[int, list[str]] = {}
        self.counter = 0

    def state(self) -> str:
        """Class of state by open transactions and unsettled deliveries."""
        sessions = [connection.session for connection in self.stomp.connections]
        if any(session.transactions for session in sessions):
            return "in a transaction"
        return "to settle" if any(session.unsettled for session in sessions) else "nothing to settle"

    def teardown(self) -> None:
        """End the example and close all connections."""
        try:
            super().teardown()
        finally:
            self.stomp.close()

    def connection_at(self, index: int) -> "ModelConnection":
        """Return one of `SESSIONS` connections; missing ones are opened, with two subscriptions each."""
        while len(self.stomp.connections) < SESSIONS:
            connection = self.stomp.connect()
            for number in range(2):
                self.counter += 1
                index_of_destination = self.counter if number == 0 or self.counter % 3 else self.counter - 1
                self.subscribe_to(
                    connection, self.destination_at(index_of_destination), self.counter // 4, again=False
                )
        return self.stomp.connections[index % SESSIONS]

    def destination_at(self, index: int) -> "Destination":
        """Return one of the destinations."""
        return self.destinations[index % len(self.destinations)]

    def subscription_outside_transactions(self, index: int) -> "Subscription | None":
        """Return a subscription with no delivery that an open transaction settles, or None."""
        found = [
            subscription
            for connection in self.stomp.connections
            for subscription in connection.session.subscriptions.values()
            if not connection.session.touched_by_transaction(subscription)
        ]
        return found[index % len(found)] if found else None

    def existing_delivery(self, index: int) -> "MessageDelivery | None":
        """Return a delivery that must be settled, or None."""
        found = [delivery for connection in self.stomp.connections for delivery in self.to_settle(connection)]
        return found[index % len(found)] if found else None

    @staticmethod
    def to_settle(connection: "ModelConnection") -> "list[MessageDelivery]":
        """Return the deliveries of a session that must be settled, outside transactions."""
        session = connection.session
        return [
            delivery
            for delivery in session.unsettled
            if not delivery.doubt and not session.touched_by_transaction(delivery.subscription)
        ]

    def existing_or_new_delivery(self, index: int) -> "MessageDelivery | None":
        """Return a delivery that must be settled, after sending messages if there is none."""
        if (found := self.existing_delivery(index)) is not None:
            return found
        self.connection_at(index)
        destinations = [
            place for place in self.destinations if any(each.mode != AUTO for each in place.active)
        ]
        if destinations:
            self.stomp.send(self.connection_at(index), [destinations[index % len(destinations)]] * 2)
        return self.existing_delivery(index)

    def open_transaction(self, index: int) -> "tuple[ModelConnection, str] | None":
        """Return an open transaction with its connection, or None."""
        found = [
            (connection, name)
            for connection in self.stomp.connections
            for name in connection.session.transactions
        ]
        return found[index % len(found)] if found else None

    def open_or_new_transaction(self, index: int) -> "tuple[ModelConnection, str]":
        """Return an open transaction with its connection, after BEGIN if there is none."""
        connection = self.connection_at(index)
        return self.open_transaction(index) or (connection, self.begin_on(connection))

    def subscribe_to(
        self, connection: "ModelConnection", destination: "Destination", mode: int, *, again: bool
    ) -> None:
        """SUBSCRIBE, if the session has room and an unused id; `again` permits an id used before."""
        session = connection.session
        used = {subscription.id for subscription in session.removed}
        free = [each for each in _IDS if each not in session.subscriptions and (again or each not in used)]
        # In 1.0 an ACK cannot distinguish two deliveries of one message on a connection.
        taken = session.version == "1.0" and any(
            subscription.destination is destination for subscription in session.subscriptions.values()
        )
        if free and not taken and len(session.subscriptions) < _MOST_SUBSCRIPTIONS:
            modes = _MODES[session.version]
            self.stomp.subscribe(connection, free[0], destination, modes[mode % len(modes)])

    def begin_on(self, connection: "ModelConnection", *, again: bool = False) -> str:
        """BEGIN on a session, with a name used before if `again` and there is one. Returns the name."""
        begun = self.begun.setdefault(connection.session.number, [])
        free = [name for name in begun if name not in connection.session.transactions] if again else []
        name = free[0] if free else f"t{len(begun)}"
        if not free:
            begun.append(name)
        self.stomp.begin(connection, name, used_before=bool(free))
        return name

    def settle_within(self, connection: "ModelConnection", name: str, number: int, *, is_nack: bool) -> None:
        """ACK or NACK a delivery in a transaction, if there is a delivery to settle."""
        deliveries = self.to_settle(connection)
        if deliveries:
            command = "NACK" if is_nack and connection.session.version != "1.0" else "ACK"
            self.stomp.settle_in(connection, name, deliveries[number % len(deliveries)], command)

    def close_transaction(self, connection: "ModelConnection", name: str, how: str) -> None:
        """COMMIT, ABORT, or COMMIT and cut the connection."""
        if how == "COMMIT":
            self.stomp.commit(connection, name)
        elif how == "ABORT":
            self.stomp.abort(connection, name)
        else:
            self.leave_queues(connection)
            self.stomp.commit_and_cut(connection, name)

    def end_session(self, connection: "ModelConnection", how: str, *, tidy: bool = True) -> None:
        """DISCONNECT, or end the connection without it. `tidy`: first end subscriptions that may consume messages."""
        if tidy:
            self.leave_queues(connection)
        if how == "DISCONNECT":
            self.stomp.disconnect(connection)
        else:
            self.stomp.end(connection, how)
        self.stomp.collect()

    def leave_queues(self, connection: "ModelConnection") -> None:
        """End the subscriptions that may consume messages after the end of their connection."""
        for subscription in list(connection.session.subscriptions.values()):
            if subscription.destination.is_queue and subscription.mode == AUTO:
                self.stomp.unsubscribe(subscription)

    def key_of_no_message(self) -> Headers:
        """Return the headers of an ACK whose values name no message."""
        names = {"1.2": ("id",), "1.1": ("message-id", "subscription"), "1.0": ("message-id",)}
        return tuple((name, "nothing-is-called-so") for name in names[self.stomp.system.version])
