"""What the rules of the machine choose from: sessions, destinations, deliveries, transactions.

Numbers that Hypothesis drew choose among what is there. What there is depends on the server, so no rule may have it
as a precondition: it need not be the same when Hypothesis tries again.
"""

from typing import TYPE_CHECKING, Any, cast

from hypothesis.stateful import RuleBasedStateMachine

from conformance.models.machines import QueueMachine
from conformance.models.stomp.driver import StompDriver
from conformance.models.stomp.entities import AUTO, CLIENT, INDIVIDUAL

if TYPE_CHECKING:
    from conformance.models.stomp.connections import Line
    from conformance.models.stomp.entities import Delivery, Destination, Subscription

Headers = tuple[tuple[str, str], ...]

SESSIONS = 3
_IDS = ("0", "1", "2", "3")
_MOST_SUBSCRIPTIONS = 3
_MODES = {"1.0": (AUTO, CLIENT), "1.1": (AUTO, CLIENT, INDIVIDUAL), "1.2": (AUTO, CLIENT, INDIVIDUAL)}


class ChoosingMachine(QueueMachine):
    """A machine whose `plain` drives sessions; `places` are its destinations, `begun` the names of transactions."""

    STATES = ("nothing to settle", "to settle", "in a transaction")

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        self.plain = StompDriver(cast("Any", self.system))
        self.driver = cast("Any", self.plain)
        self.failed = False
        self.ready = False
        self.places: list[Destination] = []
        self.begun: dict[int, list[str]] = {}
        self.made = 0

    def state(self) -> str:
        """By what the sessions have to finish."""
        sessions = [line.session for line in self.plain.lines]
        if any(session.transactions for session in sessions):
            return "in a transaction"
        return "to settle" if any(session.unsettled for session in sessions) else "nothing to settle"

    def teardown(self) -> None:
        """End the example, and leave no connection behind."""
        try:
            super().teardown()
        finally:
            self.plain.close()

    def line_at(self, index: int) -> "Line":
        """One of the sessions; new ones come with two subscriptions."""
        while len(self.plain.lines) < SESSIONS:
            line = self.plain.connect()
            for number in range(2):
                self.made += 1
                place = self.made if number == 0 or self.made % 3 else self.made - 1
                self.subscribe_to(line, self.place_at(place), self.made // 4, again=False)
        return self.plain.lines[index % SESSIONS]

    def place_at(self, index: int) -> "Destination":
        """One of the destinations."""
        return self.places[index % len(self.places)]

    def a_subscription(self, index: int) -> "Subscription | None":
        """One that no open transaction settles something of."""
        found = [
            subscription
            for line in self.plain.lines
            for subscription in line.session.subscriptions.values()
            if not line.session.touched_by_transaction(subscription)
        ]
        return found[index % len(found)] if found else None

    def a_delivery(self, index: int) -> "Delivery | None":
        """One that is certainly to be settled."""
        found = [delivery for line in self.plain.lines for delivery in self.to_settle(line)]
        return found[index % len(found)] if found else None

    @staticmethod
    def to_settle(line: "Line") -> "list[Delivery]":
        """The deliveries of a session that are certainly to be settled, outside of transactions."""
        session = line.session
        return [
            delivery
            for delivery in session.unsettled
            if not delivery.doubt and not session.touched_by_transaction(delivery.subscription)
        ]

    def some_delivery(self, index: int) -> "Delivery | None":
        """One that is certainly to be settled, of new messages if there is none."""
        if (found := self.a_delivery(index)) is not None:
            return found
        self.line_at(index)
        places = [place for place in self.places if any(each.mode != AUTO for each in place.active)]
        if places:
            self.plain.send(self.line_at(index), [places[index % len(places)]] * 2)
        return self.a_delivery(index)

    def a_transaction(self, index: int) -> "tuple[Line, str] | None":
        """An open transaction, None if there is none."""
        found = [(line, name) for line in self.plain.lines for name in line.session.transactions]
        return found[index % len(found)] if found else None

    def some_transaction(self, index: int) -> "tuple[Line, str]":
        """An open transaction, a new one if there is none."""
        line = self.line_at(index)
        return self.a_transaction(index) or (line, self.begin_on(line))

    def subscribe_to(self, line: "Line", place: "Destination", mode: int, *, again: bool) -> None:
        """SUBSCRIBE, if the session has room and an id for it; `again`: perhaps one that was used before."""
        session = line.session
        used = {subscription.id for subscription in session.removed}
        free = [each for each in _IDS if each not in session.subscriptions and (again or each not in used)]
        # An ACK of 1.0 can't tell two deliveries of one message on a connection apart.
        taken = session.version == "1.0" and any(
            subscription.destination is place for subscription in session.subscriptions.values()
        )
        if free and not taken and len(session.subscriptions) < _MOST_SUBSCRIPTIONS:
            modes = _MODES[session.version]
            self.plain.subscribe(line, free[0], place, modes[mode % len(modes)])

    def begin_on(self, line: "Line", *, again: bool = False) -> str:
        """BEGIN on a session, with the name that was used before if `again`; returns the name."""
        begun = self.begun.setdefault(line.session.number, [])
        free = [name for name in begun if name not in line.session.transactions] if again else []
        name = free[0] if free else f"t{len(begun)}"
        if not free:
            begun.append(name)
        self.plain.begin(line, name, used_before=bool(free))
        return name

    def settle_within(self, line: "Line", name: str, number: int, *, is_nack: bool) -> None:
        """ACK or NACK in a transaction something that is to be settled, if there is anything."""
        deliveries = self.to_settle(line)
        if deliveries:
            command = "NACK" if is_nack and line.session.version != "1.0" else "ACK"
            self.plain.settle_in(line, name, deliveries[number % len(deliveries)], command)

    def close_transaction(self, line: "Line", name: str, how: str) -> None:
        """COMMIT, ABORT, or COMMIT and the loss of the connection."""
        if how == "COMMIT":
            self.plain.commit(line, name)
        elif how == "ABORT":
            self.plain.abort(line, name)
        else:
            self.leave_queues(line)
            self.plain.commit_and_cut(line, name)

    def end_session(self, line: "Line", how: str, *, tidy: bool = True) -> None:
        """DISCONNECT, or end the connection in another way; `tidy`: without subscriptions that swallow messages."""
        if tidy:
            self.leave_queues(line)
        if how == "DISCONNECT":
            self.plain.disconnect(line)
        else:
            self.plain.end(line, how)
        self.plain.collect()

    def leave_queues(self, line: "Line") -> None:
        """End the subscriptions that could swallow messages after the end of their connection."""
        for subscription in list(line.session.subscriptions.values()):
            if subscription.destination.is_queue and subscription.mode == AUTO:
                self.plain.unsubscribe(subscription)

    def nonsense(self) -> Headers:
        """How an ACK names a message, with values that no message has."""
        names = {"1.2": ("id",), "1.1": ("message-id", "subscription"), "1.0": ("message-id",)}
        return tuple((name, "nothing-is-called-so") for name in names[self.plain.system.version])
