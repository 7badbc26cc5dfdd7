"""State machine of sessions over plain queues and topics: subscriptions, ack modes, transactions, redelivery."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from conformance.models.machines import counted_rule
from conformance.models.stomp.draws import DrawingMachine, Headers
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


class StompMachine(DrawingMachine):
    """Two queues, two topics and three sessions; ended sessions are replaced."""

    IMPOSSIBLE = frozenset({("settle_everything", "nothing to settle")})

    @initialize(first=_INDEX)
    def start(self, first: int) -> None:
        """Destinations, and sessions with subscriptions."""
        self.guarded(StompMachine._start, first=first)

    def _start(self, first: int) -> None:
        self.destinations = [self.stomp.destination(is_queue=number < 2) for number in range(4)]
        self.counter = first
        self.connection_at(0)
        self.ready = True

    # Subscriptions and messages

    @counted_rule(connection=_INDEX, to=_INDEX, mode=_INDEX, again=st.booleans())
    def subscribe(self, connection: int, to: int, mode: int, again: bool) -> None:
        """SUBSCRIBE with an id that other connections use, or that was used before."""
        self.subscribe_to(self.connection_at(connection), self.destination_at(to), mode, again=again)

    @counted_rule(index=_INDEX)
    def unsubscribe(self, index: int) -> None:
        """UNSUBSCRIBE; its unsettled messages may go to others."""
        if (subscription := self.subscription_outside_transactions(index)) is not None:
            self.stomp.unsubscribe(subscription)

    @counted_rule(sender=_INDEX, to=st.lists(_INDEX, min_size=1, max_size=6))
    def send(self, sender: int, to: list[int]) -> None:
        """SEND messages to several destinations."""
        self.stomp.send(self.connection_at(sender), [self.destination_at(each) for each in to])

    @counted_rule(sender=_INDEX, to=_INDEX, count=st.integers(2, 5))
    def send_several(self, sender: int, to: int, count: int) -> None:
        """SEND several messages to one destination."""
        self.stomp.send(self.connection_at(sender), [self.destination_at(to)] * count)

    @counted_rule()
    def look(self) -> None:
        """Fence all sessions, so that unsolicited frames arrive."""
        self.stomp.fence_all()

    # Settling

    @counted_rule(index=_INDEX)
    def ack(self, index: int) -> None:
        """ACK; in mode client it covers earlier deliveries."""
        if (delivery := self.existing_or_new_delivery(index)) is not None:
            self.stomp.ack(delivery)

    @counted_rule(
        destination=_INDEX, count=st.integers(2, 4), settled=st.lists(_INDEX, min_size=1, max_size=2)
    )
    def send_and_ack(self, destination: int, count: int, settled: list[int]) -> None:
        """SEND several messages, and ACK some deliveries."""
        self.stomp.send(self.connection_at(destination), [self.destination_at(destination)] * count)
        for index in settled:
            if (delivery := self.existing_or_new_delivery(index)) is not None:
                self.stomp.ack(delivery)

    @counted_rule(where=_is_later, index=_INDEX)
    def nack(self, index: int) -> None:
        """NACK."""
        if (delivery := self.existing_or_new_delivery(index)) is not None:
            self.stomp.nack(delivery)

    # Transactions

    @counted_rule(session=_INDEX, again=st.booleans())
    def begin(self, session: int, again: bool) -> None:
        """BEGIN with a name that other connections use, or that was used before."""
        self.begin_on(self.connection_at(session), again=again)

    @counted_rule(
        where=_is_newest,
        index=_INDEX,
        to=_INDEX,
        commit=st.booleans(),
    )
    def begin_again(self, index: int, to: int, commit: bool) -> None:
        """BEGIN of an open transaction that contains a SEND."""
        connection, name = self.open_or_new_transaction(index)
        self.stomp.send_in(connection, name, self.destination_at(to))
        self.leave_queues(connection)
        self.stomp.begin_again(connection, name)
        if commit and connection in self.stomp.connections:
            self.stomp.commit(connection, name)

    @counted_rule(index=_INDEX, to=st.lists(_INDEX, min_size=1, max_size=3))
    def send_in_transaction(self, index: int, to: list[int]) -> None:
        """SEND messages in a transaction; none may arrive yet."""
        connection, name = self.open_or_new_transaction(index)
        for each in to:
            self.stomp.send_in(connection, name, self.destination_at(each))
        self.stomp.fence_all()

    @counted_rule(index=_INDEX, number=_INDEX, is_nack=st.booleans())
    def settle_in_transaction(self, index: int, number: int, is_nack: bool) -> None:
        """ACK or NACK in a transaction."""
        self.settle_within(*self.open_or_new_transaction(index), number, is_nack=is_nack)

    @counted_rule(
        index=_INDEX,
        how=st.sampled_from(("COMMIT", "COMMIT", "COMMIT", "ABORT", "cut")),
    )
    def end_transaction(self, index: int, how: str) -> None:
        """End a transaction: everything in it takes effect, or nothing."""
        self.close_transaction(*self.open_or_new_transaction(index), how)

    @counted_rule(
        index=_INDEX,
        to=st.lists(_INDEX, min_size=1, max_size=3),
        number=_INDEX,
        how=st.sampled_from(("COMMIT", "ABORT", "ABORT, cut", "spoilt", "DISCONNECT", "close", "cut")),
    )
    def transact(self, index: int, to: list[int], number: int, how: str) -> None:
        """A whole transaction, with an ACK if there is a delivery to settle."""
        self.connection_at(index)
        busy = [each for each in self.stomp.connections if self.to_settle(each)]
        here = busy[index % len(busy)] if busy else self.connection_at(index)
        destinations = [self.destination_at(each) for each in to]
        if how == "spoilt":
            self.leave_queues(here)
            self.counter += 1
            self.stomp.commit_spoilt(here, f"spoilt{self.counter}", destinations, self.key_of_no_message())
            return
        name = self.begin_on(here)
        for destination in destinations:
            self.stomp.send_in(here, name, destination)
        self.settle_within(here, name, number, is_nack=False)
        self.stomp.fence_all()
        how, _, leaves = how.partition(", ")
        if how in ("COMMIT", "ABORT"):
            self.close_transaction(here, name, how)
        else:
            leaves = how
        if leaves and here in self.stomp.connections:
            self.end_session(here, leaves)

    @counted_rule(
        index=_INDEX,
        to=st.lists(_INDEX, min_size=2, max_size=4),
        other=st.booleans(),
        how=st.sampled_from(("COMMIT", "ABORT")),
    )
    def transact_twice(self, index: int, to: list[int], other: bool, how: str) -> None:
        """Two transactions side by side, on one connection or with one name on two."""
        here = self.connection_at(index)
        there = self.connection_at(index + 1) if other else here
        opened = [(here, self.begin_on(here)), (there, self.begin_on(there))]
        for number, each in enumerate(to):
            self.stomp.send_in(*opened[number % 2], self.destination_at(each))
        self.close_transaction(*opened[0], "COMMIT")
        self.stomp.fence_all()
        self.stomp.model.judge(
            "STOMP-TX-010" if other else "STOMP-TX-012",
            True,
            expected="nothing of the other transaction",
            observed="nothing of it",
        )
        if opened[1][0] in self.stomp.connections:
            self.close_transaction(*opened[1], how)

    # Endings

    @counted_rule(session=_INDEX, how=st.sampled_from(("DISCONNECT", "close", "cut")), tidy=st.integers(0, 3))
    def leave(self, session: int, how: str, tidy: int) -> None:
        """End a session; its unsettled messages go to others."""
        self.end_session(self.connection_at(session), how, tidy=bool(tidy))

    @counted_rule(ack=st.booleans())
    def settle_everything(self, ack: bool) -> None:
        """End all transactions, and settle all deliveries."""
        while (found := self.open_transaction(0)) is not None:
            self.close_transaction(*found, "COMMIT" if ack else "ABORT")
        while (delivery := self.existing_delivery(0)) is not None:
            self.stomp.ack(delivery)
        for connection in list(self.stomp.connections):
            if connection.session.unsettled:
                self.end_session(connection, "DISCONNECT")

    # Misuse; most of it ends the session

    @counted_rule(session=_INDEX, index=_INDEX, is_nack=st.booleans())
    def settle_again(self, session: int, index: int, is_nack: bool) -> None:
        """A late or repeated ACK or NACK of a delivery that is settled or may be."""
        here = self.connection_at(session)
        doubtful = [
            delivery
            for delivery in here.session.unsettled
            if delivery.doubt and not here.session.touched_by_transaction(delivery.subscription)
        ]
        if found := doubtful or here.session.former:
            self.leave_queues(here)
            command = "NACK" if is_nack and here.session.version != "1.0" else "ACK"
            self.stomp.settle_late(found[index % len(found)], command)

    @counted_rule(session=_INDEX, index=_INDEX)
    def ack_stray(self, session: int, index: int) -> None:
        """An ACK of another connection's delivery, or of no message."""
        here = self.connection_at(session)
        others = [
            delivery
            for other in self.stomp.connections
            if other is not here
            for delivery in other.session.unsettled
        ]
        if others or index == 0:
            self.leave_queues(here)
            self.stomp.ack_stray(
                here, others[index % len(others)].key if others else self.key_of_no_message()
            )

    @counted_rule(session=_INDEX, to=_INDEX, kind=st.sampled_from(REFUSED))
    def refusal(self, session: int, to: int, kind: tuple[str, str, Headers]) -> None:
        """A frame that must be refused, and a SEND behind it."""
        here, (clause, command, headers) = self.connection_at(session), kind
        self.leave_queues(here)
        if self.stomp.model.judge.has(clause):
            self.stomp.refused(here, clause, "no RECEIPT", command, headers, self.destination_at(to))

    @counted_rule(where=_is_later, session=_INDEX)
    def subscribe_twice(self, session: int) -> None:
        """SUBSCRIBE with an id in use, to a new queue: a topic might keep half a subscription for ever."""
        here, there = self.connection_at(session), self.stomp.destination(is_queue=True)
        self.leave_queues(here)
        if here.session.subscriptions:
            headers = (
                ("id", next(iter(here.session.subscriptions))),
                ("destination", there.name),
                *self.stomp.system.destination_headers[there.is_queue],
            )
            expected = "no RECEIPT: the id is in use"
            self.stomp.refused(here, "STOMP-SUB-005", expected, "SUBSCRIBE", headers, there)

    def finish(self) -> None:
        """End all sessions; unacknowledged messages, and no others, come to a new session."""
        for number, connection in enumerate(list(self.stomp.connections), start=self.counter):
            self.end_session(connection, ("DISCONNECT", "cut")[number % 2], tidy=number % 3 > 0)
        last = self.stomp.connect()
        for number, destination in enumerate(self.destinations):
            if destination.is_queue:
                self.stomp.subscribe(last, f"last{number}", destination, AUTO)
        self.stomp.fence_all()
        self.stomp.model.judge_absences()
