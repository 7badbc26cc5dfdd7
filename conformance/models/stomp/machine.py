"""Several sessions over plain queues and topics: subscriptions, the three modes, transactions, redelivery."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from conformance.models.machines import move
from conformance.models.stomp.draws import ChoosingMachine, Headers
from conformance.models.stomp.entities import AUTO

_INDEX = st.integers(0, 11)

#: Frames that must be refused: the clause, the command, and the headers.
REFUSED: tuple[tuple[str, str, Headers], ...] = (
    ("STOMP-TX-001", "BEGIN", ()),
    ("STOMP-TX-005", "COMMIT", (("transaction", "never-begun"),)),
    ("STOMP-TX-005", "COMMIT", ()),
    ("STOMP-TX-015", "ABORT", (("transaction", "never-begun"),)),
    ("STOMP-SUB-004", "SUBSCRIBE", (("id", "new"),)),
    ("STOMP-SEND-001", "SEND", ()),
)


def _is_later(system: Any) -> bool:
    return bool(system.version != "1.0")


def _is_newest(system: Any) -> bool:
    return bool(system.version == "1.2")


class StompMachine(ChoosingMachine):
    """Two queues, two topics, three sessions; sessions that end are replaced."""

    IMPOSSIBLE = frozenset({("settle_everything", "nothing to settle")})

    @initialize(first=_INDEX)
    def start(self, first: int) -> None:
        """Destinations, and sessions with subscriptions."""
        self.guarded(StompMachine._start, first=first)

    def _start(self, first: int) -> None:
        self.places = [self.plain.destination(is_queue=number < 2) for number in range(4)]
        self.made = first
        self.line_at(0)
        self.ready = True

    # Subscriptions and messages

    @move(line=_INDEX, place=_INDEX, mode=_INDEX, again=st.booleans())
    def subscribe(self, line: int, place: int, mode: int, again: bool) -> None:
        """A subscription under an id that other connections use too, or that was used before."""
        self.subscribe_to(self.line_at(line), self.place_at(place), mode, again=again)

    @move(index=_INDEX)
    def unsubscribe(self, index: int) -> None:
        """A subscription ends; what it had to settle is open."""
        if (subscription := self.a_subscription(index)) is not None:
            self.plain.unsubscribe(subscription)

    @move(line=_INDEX, places=st.lists(_INDEX, min_size=1, max_size=6))
    def send(self, line: int, places: list[int]) -> None:
        """Some messages in a row."""
        self.plain.send(self.line_at(line), [self.place_at(place) for place in places])

    @move(line=_INDEX, place=_INDEX, count=st.integers(2, 5))
    def send_several(self, line: int, place: int, count: int) -> None:
        """Several messages to one destination."""
        self.plain.send(self.line_at(line), [self.place_at(place)] * count)

    @move()
    def look(self) -> None:
        """Whatever comes without being asked for has had its chance."""
        self.plain.look()

    # Settling

    @move(index=_INDEX)
    def ack(self, index: int) -> None:
        """One ACK; in mode client it covers what was delivered before."""
        if (delivery := self.some_delivery(index)) is not None:
            self.plain.ack(delivery)

    @move(place=_INDEX, count=st.integers(2, 4), settled=st.lists(_INDEX, min_size=1, max_size=2))
    def send_and_ack(self, place: int, count: int, settled: list[int]) -> None:
        """Several messages, of which some are acknowledged."""
        self.plain.send(self.line_at(place), [self.place_at(place)] * count)
        for index in settled:
            if (delivery := self.some_delivery(index)) is not None:
                self.plain.ack(delivery)

    @move(where=_is_later, index=_INDEX)
    def nack(self, index: int) -> None:
        """One NACK."""
        if (delivery := self.some_delivery(index)) is not None:
            self.plain.nack(delivery)

    # Transactions

    @move(line=_INDEX, again=st.booleans())
    def begin(self, line: int, again: bool) -> None:
        """A transaction, under a name that other connections use too, or that was used before."""
        self.begin_on(self.line_at(line), again=again)

    @move(
        where=_is_newest,
        index=_INDEX,
        place=_INDEX,
        commit=st.booleans(),
    )
    def begin_again(self, index: int, place: int, commit: bool) -> None:
        """BEGIN of an open transaction with something in it."""
        line, name = self.some_transaction(index)
        self.plain.send_in(line, name, self.place_at(place))
        self.leave_queues(line)
        self.plain.begin_again(line, name)
        if commit and line in self.plain.lines:
            self.plain.commit(line, name)

    @move(index=_INDEX, places=st.lists(_INDEX, min_size=1, max_size=3))
    def send_in_transaction(self, index: int, places: list[int]) -> None:
        """Messages that nobody may see yet."""
        line, name = self.some_transaction(index)
        for place in places:
            self.plain.send_in(line, name, self.place_at(place))
        self.plain.look()

    @move(index=_INDEX, number=_INDEX, is_nack=st.booleans())
    def settle_in_transaction(self, index: int, number: int, is_nack: bool) -> None:
        """An ACK or NACK that waits for the COMMIT."""
        self.settle_within(*self.some_transaction(index), number, is_nack=is_nack)

    @move(
        index=_INDEX,
        how=st.sampled_from(("COMMIT", "COMMIT", "COMMIT", "ABORT", "cut")),
    )
    def end_transaction(self, index: int, how: str) -> None:
        """Everything in it takes effect, or nothing."""
        self.close_transaction(*self.some_transaction(index), how)

    @move(
        line=_INDEX,
        places=st.lists(_INDEX, min_size=1, max_size=3),
        number=_INDEX,
        how=st.sampled_from(("COMMIT", "ABORT", "ABORT, cut", "spoilt", "DISCONNECT", "close", "cut")),
    )
    def transact(self, line: int, places: list[int], number: int, how: str) -> None:
        """A whole transaction, with an ACK if there is something to acknowledge."""
        self.line_at(line)
        busy = [each for each in self.plain.lines if self.to_settle(each)]
        here = busy[line % len(busy)] if busy else self.line_at(line)
        destinations = [self.place_at(place) for place in places]
        if how == "spoilt":
            self.leave_queues(here)
            self.made += 1
            self.plain.commit_spoilt(here, f"spoilt{self.made}", destinations, self.nonsense())
            return
        name = self.begin_on(here)
        for destination in destinations:
            self.plain.send_in(here, name, destination)
        self.settle_within(here, name, number, is_nack=False)
        self.plain.look()
        how, _, leaves = how.partition(", ")
        if how in ("COMMIT", "ABORT"):
            self.close_transaction(here, name, how)
        else:
            leaves = how
        if leaves and here in self.plain.lines:
            self.end_session(here, leaves)

    @move(
        line=_INDEX,
        places=st.lists(_INDEX, min_size=2, max_size=4),
        other=st.booleans(),
        how=st.sampled_from(("COMMIT", "ABORT")),
    )
    def transact_twice(self, line: int, places: list[int], other: bool, how: str) -> None:
        """Two transactions side by side, on one connection or under one name on two."""
        here = self.line_at(line)
        there = self.line_at(line + 1) if other else here
        opened = [(here, self.begin_on(here)), (there, self.begin_on(there))]
        for number, place in enumerate(places):
            self.plain.send_in(*opened[number % 2], self.place_at(place))
        self.close_transaction(*opened[0], "COMMIT")
        self.plain.look()
        self.plain.model.judge(
            "STOMP-TX-010" if other else "STOMP-TX-012",
            True,
            expected="nothing of the other transaction",
            observed="nothing of it",
        )
        if opened[1][0] in self.plain.lines:
            self.close_transaction(*opened[1], how)

    # Endings

    @move(line=_INDEX, how=st.sampled_from(("DISCONNECT", "close", "cut")), tidy=st.integers(0, 3))
    def leave(self, line: int, how: str, tidy: int) -> None:
        """A session ends; what it had to settle comes to others."""
        self.end_session(self.line_at(line), how, tidy=bool(tidy))

    @move(ack=st.booleans())
    def settle_everything(self, ack: bool) -> None:
        """All transactions end, all that waits is delivered and acknowledged."""
        while (found := self.a_transaction(0)) is not None:
            self.close_transaction(*found, "COMMIT" if ack else "ABORT")
        while (delivery := self.a_delivery(0)) is not None:
            self.plain.ack(delivery)
        for line in list(self.plain.lines):
            if line.session.unsettled:
                self.end_session(line, "DISCONNECT")

    # Misuse; most of it ends the session

    @move(line=_INDEX, index=_INDEX, is_nack=st.booleans())
    def settle_again(self, line: int, index: int, is_nack: bool) -> None:
        """A late or double ACK or NACK, of what is settled or perhaps is."""
        here = self.line_at(line)
        session = here.session
        doubtful = [
            delivery
            for delivery in session.unsettled
            if delivery.doubt and not session.touched_by_transaction(delivery.subscription)
        ]
        if found := doubtful or session.former:
            self.leave_queues(here)
            command = "NACK" if is_nack and session.version != "1.0" else "ACK"
            self.plain.settle_late(found[index % len(found)], command)

    @move(line=_INDEX, index=_INDEX)
    def ack_stray(self, line: int, index: int) -> None:
        """An ACK of what another connection has to settle, or of nothing."""
        here = self.line_at(line)
        others = [
            delivery
            for other in self.plain.lines
            if other is not here
            for delivery in other.session.unsettled
        ]
        if others or index == 0:
            self.leave_queues(here)
            self.plain.ack_stray(here, others[index % len(others)].key if others else self.nonsense())

    @move(line=_INDEX, place=_INDEX, kind=st.sampled_from(REFUSED))
    def refusal(self, line: int, place: int, kind: tuple[str, str, Headers]) -> None:
        """A frame that must be refused, and a SEND behind it."""
        here, (clause, command, headers) = self.line_at(line), kind
        self.leave_queues(here)
        if self.plain.model.judge.has(clause):
            self.plain.refused(here, clause, "no RECEIPT", command, headers, self.place_at(place))

    @move(where=_is_later, line=_INDEX)
    def subscribe_twice(self, line: int) -> None:
        """SUBSCRIBE with an id that is in use, to a new queue: a topic could keep half a subscription for ever."""
        here, there = self.line_at(line), self.plain.destination(is_queue=True)
        self.leave_queues(here)
        if here.session.subscriptions:
            headers = (
                ("id", next(iter(here.session.subscriptions))),
                ("destination", there.name),
                *self.plain.system.place_headers[there.is_queue],
            )
            expected = "no RECEIPT: the id is in use"
            self.plain.refused(here, "STOMP-SUB-005", expected, "SUBSCRIBE", headers, there)

    def finish(self) -> None:
        """All sessions end; what was not acknowledged comes to a new one, and nothing else does."""
        for number, line in enumerate(list(self.plain.lines), start=self.made):
            self.end_session(line, ("DISCONNECT", "cut")[number % 2], tidy=number % 3 > 0)
        last = self.plain.connect()
        for number, place in enumerate(self.places):
            if place.is_queue:
                self.plain.subscribe(last, f"last{number}", place, AUTO)
        self.plain.look()
        self.plain.model.kept_away()
