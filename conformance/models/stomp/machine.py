"""Several sessions over plain queues and topics: subscriptions, the three modes, transactions, redelivery."""

from typing import TYPE_CHECKING, Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from conformance.models.machines import QueueMachine, move
from conformance.models.stomp.driver import StompDriver
from conformance.models.stomp.messages import AUTO, CLIENT, INDIVIDUAL

if TYPE_CHECKING:
    from conformance.models.stomp.driver import Line
    from conformance.models.stomp.messages import Delivery, Destination, Subscription

_Headers = tuple[tuple[str, str], ...]

SESSIONS = 3
_IDS = ("0", "1", "2", "3")
_MOST_SUBSCRIPTIONS = 3
_MODES = {"1.0": (AUTO, CLIENT), "1.1": (AUTO, CLIENT, INDIVIDUAL), "1.2": (AUTO, CLIENT, INDIVIDUAL)}
_INDEX = st.integers(0, 11)

#: Frames that must be refused: the clause, the command, and the headers.
REFUSED: tuple[tuple[str, str, _Headers], ...] = (
    ("STOMP-TX-001", "BEGIN", ()),
    ("STOMP-TX-005", "COMMIT", (("transaction", "never-begun"),)),
    ("STOMP-TX-005", "COMMIT", ()),
    ("STOMP-TX-015", "ABORT", (("transaction", "never-begun"),)),
    ("STOMP-SUB-004", "SUBSCRIBE", (("id", "new"),)),
    ("STOMP-SEND-001", "SEND", ()),
)


def _is_later(world: "Any") -> bool:
    return bool(world.version != "1.0")


def _is_newest(world: "Any") -> bool:
    return bool(world.version == "1.2")


class StompMachine(QueueMachine):
    """Two queues, two topics, three sessions; sessions that end are replaced."""

    # No rule may have a precondition on what the server did: it need not do the same when Hypothesis tries again.

    STATES = ("nothing to settle", "to settle", "in a transaction")

    IMPOSSIBLE = frozenset({("settle_everything", "nothing to settle")})

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        self.plain = StompDriver(cast("Any", self.world))
        self.driver = cast("Any", self.plain)
        self.failed = False
        self.ready = False

    @initialize(first=_INDEX)
    def start(self, first: int) -> None:
        """Destinations, and sessions with subscriptions."""
        self.guarded(StompMachine._start, first=first)

    def _start(self, first: int) -> None:
        self.places = [self.plain.destination(is_queue=number < 2) for number in range(4)]
        self.begun: dict[int, list[str]] = {}
        self.made = first
        self._line(0)
        self.ready = True

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

    # Choosing

    def _line(self, index: int) -> "Line":
        """One of the sessions; new ones come with two subscriptions."""
        while len(self.plain.lines) < SESSIONS:
            line = self.plain.connect()
            for number in range(2):
                self.made += 1
                place = self.made if number == 0 or self.made % 3 else self.made - 1
                self._subscribe(line, self._place(place), self.made // 4, again=False)
        return self.plain.lines[index % SESSIONS]

    def _place(self, index: int) -> "Destination":
        return self.places[index % len(self.places)]

    def _subscription(self, index: int) -> "Subscription | None":
        """One that no open transaction settles something of."""
        found = [
            subscription
            for line in self.plain.lines
            for subscription in line.session.subscriptions.values()
            if not line.session.touched_by_transaction(subscription)
        ]
        return found[index % len(found)] if found else None

    def _delivery(self, index: int) -> "Delivery | None":
        """One that is certainly to be settled."""
        found = [delivery for line in self.plain.lines for delivery in self._to_settle(line)]
        return found[index % len(found)] if found else None

    @staticmethod
    def _to_settle(line: "Line") -> "list[Delivery]":
        """The deliveries of a session that are certainly to be settled, outside of transactions."""
        session = line.session
        return [
            delivery
            for delivery in session.unsettled
            if not delivery.doubt and not session.touched_by_transaction(delivery.subscription)
        ]

    def _some_delivery(self, index: int) -> "Delivery | None":
        """One that is certainly to be settled, of new messages if there is none."""
        if (found := self._delivery(index)) is not None:
            return found
        self._line(index)
        places = [place for place in self.places if any(each.mode != AUTO for each in place.active)]
        if places:
            self.plain.send(self._line(index), [places[index % len(places)]] * 2)
        return self._delivery(index)

    def _transaction(self, index: int) -> "tuple[Line, str] | None":
        found = [(line, name) for line in self.plain.lines for name in line.session.transactions]
        return found[index % len(found)] if found else None

    def _some_transaction(self, index: int) -> "tuple[Line, str]":
        """An open transaction, a new one if there is none."""
        line = self._line(index)
        return self._transaction(index) or (line, self._begin(line))

    def _subscribe(self, line: "Line", place: "Destination", mode: int, *, again: bool) -> None:
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

    # Subscriptions and messages

    @move(line=_INDEX, place=_INDEX, mode=_INDEX, again=st.booleans())
    def subscribe(self, line: int, place: int, mode: int, again: bool) -> None:
        """A subscription under an id that other connections use too, or that was used before."""
        self._subscribe(self._line(line), self._place(place), mode, again=again)

    @move(index=_INDEX)
    def unsubscribe(self, index: int) -> None:
        """A subscription ends; what it had to settle is open."""
        if (subscription := self._subscription(index)) is not None:
            self.plain.unsubscribe(subscription)

    @move(line=_INDEX, places=st.lists(_INDEX, min_size=1, max_size=6))
    def send(self, line: int, places: list[int]) -> None:
        """Some messages in a row."""
        self.plain.send(self._line(line), [self._place(place) for place in places])

    @move(line=_INDEX, place=_INDEX, count=st.integers(2, 5))
    def send_several(self, line: int, place: int, count: int) -> None:
        """Several messages to one destination."""
        self.plain.send(self._line(line), [self._place(place)] * count)

    @move()
    def look(self) -> None:
        """Whatever comes without being asked for has had its chance."""
        self.plain.look()

    # Settling

    @move(index=_INDEX)
    def ack(self, index: int) -> None:
        """One ACK; in mode client it covers what was delivered before."""
        if (delivery := self._some_delivery(index)) is not None:
            self.plain.ack(delivery)

    @move(place=_INDEX, count=st.integers(2, 4), settled=st.lists(_INDEX, min_size=1, max_size=2))
    def send_and_ack(self, place: int, count: int, settled: list[int]) -> None:
        """Several messages, of which some are acknowledged."""
        self.plain.send(self._line(place), [self._place(place)] * count)
        for index in settled:
            if (delivery := self._some_delivery(index)) is not None:
                self.plain.ack(delivery)

    @move(where=_is_later, index=_INDEX)
    def nack(self, index: int) -> None:
        """One NACK."""
        if (delivery := self._some_delivery(index)) is not None:
            self.plain.nack(delivery)

    # Transactions

    @move(line=_INDEX, again=st.booleans())
    def begin(self, line: int, again: bool) -> None:
        """A transaction, under a name that other connections use too, or that was used before."""
        self._begin(self._line(line), again=again)

    def _begin(self, line: "Line", *, again: bool = False) -> str:
        begun = self.begun.setdefault(line.session.number, [])
        free = [name for name in begun if name not in line.session.transactions] if again else []
        name = free[0] if free else f"t{len(begun)}"
        if not free:
            begun.append(name)
        self.plain.begin(line, name, used_before=bool(free))
        return name

    @move(
        where=_is_newest,
        index=_INDEX,
        place=_INDEX,
        commit=st.booleans(),
    )
    def begin_again(self, index: int, place: int, commit: bool) -> None:
        """BEGIN of an open transaction with something in it."""
        line, name = self._some_transaction(index)
        self.plain.send_in(line, name, self._place(place))
        self._leave_queues(line)
        self.plain.begin_again(line, name)
        if commit and line in self.plain.lines:
            self.plain.commit(line, name)

    @move(index=_INDEX, places=st.lists(_INDEX, min_size=1, max_size=3))
    def send_in_transaction(self, index: int, places: list[int]) -> None:
        """Messages that nobody may see yet."""
        line, name = self._some_transaction(index)
        for place in places:
            self.plain.send_in(line, name, self._place(place))
        self.plain.look()

    @move(index=_INDEX, number=_INDEX, is_nack=st.booleans())
    def settle_in_transaction(self, index: int, number: int, is_nack: bool) -> None:
        """An ACK or NACK that waits for the COMMIT."""
        self._settle_in(*self._some_transaction(index), number, is_nack=is_nack)

    def _settle_in(self, line: "Line", name: str, number: int, *, is_nack: bool) -> None:
        deliveries = self._to_settle(line)
        if deliveries:
            command = "NACK" if is_nack and line.session.version != "1.0" else "ACK"
            self.plain.settle_in(line, name, deliveries[number % len(deliveries)], command)

    @move(
        index=_INDEX,
        how=st.sampled_from(("COMMIT", "COMMIT", "COMMIT", "ABORT", "cut")),
    )
    def end_transaction(self, index: int, how: str) -> None:
        """Everything in it takes effect, or nothing."""
        self._end_transaction(*self._some_transaction(index), how)

    def _end_transaction(self, line: "Line", name: str, how: str) -> None:
        if how == "COMMIT":
            self.plain.commit(line, name)
        elif how == "ABORT":
            self.plain.abort(line, name)
        else:
            self._leave_queues(line)
            self.plain.commit_and_cut(line, name)

    @move(
        line=_INDEX,
        places=st.lists(_INDEX, min_size=1, max_size=3),
        number=_INDEX,
        how=st.sampled_from(("COMMIT", "ABORT", "ABORT, cut", "spoilt", "DISCONNECT", "close", "cut")),
    )
    def transact(self, line: int, places: list[int], number: int, how: str) -> None:
        """A whole transaction, with an ACK if there is something to acknowledge."""
        self._line(line)
        busy = [each for each in self.plain.lines if self._to_settle(each)]
        here = busy[line % len(busy)] if busy else self._line(line)
        destinations = [self._place(place) for place in places]
        if how == "spoilt":
            self._leave_queues(here)
            self.made += 1
            self.plain.commit_spoilt(here, f"spoilt{self.made}", destinations, self._nonsense())
            return
        name = self._begin(here)
        for destination in destinations:
            self.plain.send_in(here, name, destination)
        self._settle_in(here, name, number, is_nack=False)
        self.plain.look()
        how, _, leaves = how.partition(", ")
        if how in ("COMMIT", "ABORT"):
            self._end_transaction(here, name, how)
        else:
            leaves = how
        if leaves and here in self.plain.lines:
            self._leave(here, leaves)

    @move(
        line=_INDEX,
        places=st.lists(_INDEX, min_size=2, max_size=4),
        other=st.booleans(),
        how=st.sampled_from(("COMMIT", "ABORT")),
    )
    def transact_twice(self, line: int, places: list[int], other: bool, how: str) -> None:
        """Two transactions side by side, on one connection or under one name on two."""
        here = self._line(line)
        there = self._line(line + 1) if other else here
        opened = [(here, self._begin(here)), (there, self._begin(there))]
        for number, place in enumerate(places):
            self.plain.send_in(*opened[number % 2], self._place(place))
        self._end_transaction(*opened[0], "COMMIT")
        self.plain.look()
        self.plain.model.judge(
            "STOMP-TX-010" if other else "STOMP-TX-012",
            True,
            expected="nothing of the other transaction",
            observed="nothing of it",
        )
        if opened[1][0] in self.plain.lines:
            self._end_transaction(*opened[1], how)

    # Endings

    @move(line=_INDEX, how=st.sampled_from(("DISCONNECT", "close", "cut")), tidy=st.integers(0, 3))
    def leave(self, line: int, how: str, tidy: int) -> None:
        """A session ends; what it had to settle comes to others."""
        self._leave(self._line(line), how, tidy=bool(tidy))

    def _leave(self, line: "Line", how: str, *, tidy: bool = True) -> None:
        if tidy:
            self._leave_queues(line)
        if how == "DISCONNECT":
            self.plain.disconnect(line)
        else:
            self.plain.end(line, how)
        self.plain.collect()

    def _leave_queues(self, line: "Line") -> None:
        """End the subscriptions that could swallow messages after the end of their connection."""
        for subscription in list(line.session.subscriptions.values()):
            if subscription.destination.is_queue and subscription.mode == AUTO:
                self.plain.unsubscribe(subscription)

    @move(ack=st.booleans())
    def settle_everything(self, ack: bool) -> None:
        """All transactions end, all that waits is delivered and acknowledged."""
        while (found := self._transaction(0)) is not None:
            self._end_transaction(*found, "COMMIT" if ack else "ABORT")
        while (delivery := self._delivery(0)) is not None:
            self.plain.ack(delivery)
        for line in list(self.plain.lines):
            if line.session.unsettled:
                self._leave(line, "DISCONNECT")

    # Misuse; most of it ends the session

    @move(line=_INDEX, index=_INDEX, is_nack=st.booleans())
    def settle_again(self, line: int, index: int, is_nack: bool) -> None:
        """A late or double ACK or NACK, of what is settled or perhaps is."""
        here = self._line(line)
        session = here.session
        doubtful = [
            delivery
            for delivery in session.unsettled
            if delivery.doubt and not session.touched_by_transaction(delivery.subscription)
        ]
        if found := doubtful or session.former:
            self._leave_queues(here)
            command = "NACK" if is_nack and session.version != "1.0" else "ACK"
            self.plain.settle_late(found[index % len(found)], command)

    @move(line=_INDEX, index=_INDEX)
    def ack_stray(self, line: int, index: int) -> None:
        """An ACK of what another connection has to settle, or of nothing."""
        here = self._line(line)
        others = [
            delivery
            for other in self.plain.lines
            if other is not here
            for delivery in other.session.unsettled
        ]
        if others or index == 0:
            self._leave_queues(here)
            self.plain.ack_stray(here, others[index % len(others)].key if others else self._nonsense())

    @move(line=_INDEX, place=_INDEX, kind=st.sampled_from(REFUSED))
    def refusal(self, line: int, place: int, kind: tuple[str, str, _Headers]) -> None:
        """A frame that must be refused, and a SEND behind it."""
        here, (clause, command, headers) = self._line(line), kind
        self._leave_queues(here)
        if self.plain.model.judge.has(clause):
            self.plain.refused(here, clause, "no RECEIPT", command, headers, self._place(place))

    @move(where=_is_later, line=_INDEX, place=_INDEX)
    def subscribe_twice(self, line: int, place: int) -> None:
        """SUBSCRIBE with an id that is in use, to the same or to another destination."""
        here, there = self._line(line), self._place(place)
        self._leave_queues(here)
        if here.session.subscriptions:
            headers = (
                ("id", next(iter(here.session.subscriptions))),
                ("destination", there.name),
                *self.plain.world.place_headers[there.is_queue],
            )
            expected = "no RECEIPT: the id is in use"
            self.plain.refused(here, "STOMP-SUB-005", expected, "SUBSCRIBE", headers, there)

    def _nonsense(self) -> _Headers:
        names = {"1.2": ("id",), "1.1": ("message-id", "subscription"), "1.0": ("message-id",)}
        return tuple((name, "nothing-is-called-so") for name in names[self.plain.world.version])

    def finish(self) -> None:
        """All sessions end; what was not acknowledged comes to a new one, and nothing else does."""
        for number, line in enumerate(list(self.plain.lines), start=self.made):
            self._leave(line, ("DISCONNECT", "cut")[number % 2], tidy=number % 3 > 0)
        last = self.plain.connect()
        for number, place in enumerate(self.places):
            if place.is_queue:
                self.plain.subscribe(last, f"last{number}", place, AUTO)
        self.plain.look()
        self.plain.model.kept_away()
