"""Faults of queues after public reports: pending lists by batch, members that come and go, names that frameworks read.

Their models are reports on Redis streams, JetStream, Pulsar, Kafka's group coordinator, and web frameworks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.server.clock import wall
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, fault

if TYPE_CHECKING:
    from collections.abc import Hashable

    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Topic


# Waits


@fault("POLL-WAIT-2", "POLL-WAIT-1", bindings=HTTP)
def a_wake_up_in_vain_begins_a_wait_anew() -> None:
    """A waiting poll that is woken and finds nothing waits its whole time from then on, as blocked readers did."""
    times: dict[Hashable, float] = {}

    @wrap(LongPolls, "park")
    def park(original: Any, self: LongPolls, waiter: Hashable, *more: Any) -> None:
        original(self, waiter, *more)
        times[waiter] = more[-1]

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> Any:
        woken = [w for each in self._broker._wakeable for w in self._waiters.get(each, ())]
        answers = original(self)
        for waiter in woken:
            if waiter in self._parked:
                self.deadlines.remove(waiter)
                self.deadlines.set(waiter, wall() + times[waiter])
        return answers


@fault("DELIVER-2", "DELIVER-1", "NACK-AGAIN-1", "POLL-WAIT-1", bindings=HTTP)
def what_a_wait_brings_is_settled_by_its_delivery() -> None:
    """A record that a waiting poll brought is not on the list of those to come again: its holder takes it along."""
    brought: set[tuple[Cursor, int]] = set()

    @wrap(LongPolls, "_outcome")
    def outcome(original: Any, self: LongPolls, parked: Any) -> Outcome:
        before = set(parked.consumer.held)
        found: Outcome = original(self, parked)
        held = parked.consumer.held
        brought.update((cursor, number) for number, cursor in held.items() if number not in before)
        return found

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        original(self, commit=commit or (self, self.in_flight) in brought)


@fault("POLL-WAIT-2", bindings=HTTP)
def the_timer_of_an_answered_wait_ends_the_next() -> None:
    """The timer of a wait that brought a record goes on, and ends the next wait of its consumer as empty."""
    timers: dict[Consumer, float] = {}

    @wrap(LongPolls, "park")
    def park(original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, *more: Any) -> None:
        is_alone = consumer not in self._waiters
        original(self, waiter, consumer, *more)
        if is_alone and timers.get(consumer, 0.0) > wall():
            self.deadlines.set(waiter, timers[consumer])
        timers[consumer] = wall() + more[-1]


# Batches


def _batches() -> dict[int, frozenset[int]]:
    """The ids of the batch in which each record was handed out, by id, from now on."""
    found: dict[int, frozenset[int]] = {}

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        before = set(consumer.held)
        outcome: Outcome = original(self, consumer, limit)
        fresh = frozenset(set(consumer.held) - before)
        found.update(dict.fromkeys(fresh, fresh))
        return outcome

    return found


@fault("NACK-OK-1", "DELIVER-3", "NACK-AGAIN-1", bindings=HTTP)
def giving_back_one_of_a_batch_gives_back_all() -> None:
    """A negative acknowledgement of one record of a batch frees all records of that batch."""
    batches = _batches()

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        original(self, consumer, number, commit=commit)
        for other in batches.get(number, ()) if not commit else ():
            if other in consumer.held:
                original(self, consumer, other, commit=False)


@fault("ACK-COMMIT-1", "MEMBER-UNSUBSCRIBE-4", bindings=HTTP)
def a_batch_is_committed_when_all_of_it_is_acknowledged() -> None:
    """Acknowledgements of records of a batch count when the last one has come: an eviction before undoes them."""
    batches = _batches()
    done: dict[frozenset[int], dict[Cursor, int]] = {}

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor, batch = consumer.held.get(number), batches.get(number, frozenset())
        if cursor is not None and commit and len(batch) > 1:
            done.setdefault(batch, {})[cursor] = cursor.committed
        original(self, consumer, number, commit=commit)
        if not batch & set(consumer.held):
            done.pop(batch, None)

    @wrap(Group, "_release")
    def release(original: Any, self: Group, consumer: Consumer, topic: str) -> None:
        open_batches = {batches.get(number, frozenset()) for number in consumer.held}
        original(self, consumer, topic)
        for batch in open_batches:
            for cursor, committed in done.pop(batch, {}).items():
                if cursor.in_flight is None:
                    cursor.committed = min(cursor.committed, committed)


# Members that come and go


@fault("POLL-NONE-1", "MEMBER-UNSUBSCRIBE-1", "ASSIGN-1", bindings=HTTP)
def who_unsubscribed_is_dealt_in_when_another_joins() -> None:
    """The next member that subscribes to a topic has its partitions dealt out to those that gave it up before, too."""
    former: dict[tuple[Group, str], set[Consumer]] = {}

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        for topic in topics:
            former.setdefault((self, topic.name), set()).add(consumer)
        original(self, consumer, topics, now)

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        back: list[tuple[Consumer, str]] = []
        for topic in topics:
            gone = former.get((self, topic.name), set())
            gone.discard(consumer)
            members = [each for each in gone if self.members.get(each.name) is each]
            back += [(each, topic.name) for each in members if topic.name not in each.topics]
        for member, name in back:
            member.topics[name] = None
        original(self, consumer, topics, now)
        for member, name in back:
            del member.topics[name]


@fault("ACK-UNKNOWN-1", "REBALANCE-5", bindings=HTTP)
def who_owns_a_partition_again_may_acknowledge_what_it_held() -> None:
    """A consumer whose partition moved away and came back commits the record that it had lost by its old id."""
    lost: dict[tuple[Consumer, int], Cursor] = {}

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        if not commit and self.owner is not None and self.in_flight is not None:
            lost[self.owner, self.in_flight] = self
        original(self, commit=commit)

    @wrap(QueueBroker, "settle")
    def settle_by_id(
        original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool
    ) -> None:
        try:
            original(self, consumer, number, commit=commit)
        except Refusal:
            cursor = lost.pop((consumer, number), None)
            is_its_own = cursor is not None and cursor.owner is consumer and cursor.is_ready()
            if cursor is None or not is_its_own or not commit:
                raise
            partition = cursor.partition
            if partition.ids[cursor.committed - partition.base] != number:
                raise
            cursor.committed += 1


@fault("DELIVER-2", "DELIVER-1", "REBALANCE-1", bindings=HTTP)
def who_came_while_a_record_was_in_flight_never_gets_it() -> None:
    """A record is held back from members that registered while another one held it, to keep the order of keys."""
    late: set[tuple[Consumer, Cursor, int]] = set()

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, *names: str, now: float) -> Consumer:
        consumer: Consumer = original(self, *names, now=now)
        for cursor in consumer.group.all_cursors():
            if cursor.in_flight is not None:
                late.add((consumer, cursor, cursor.committed))
        return consumer

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        is_late = self.owner is not None and (self.owner, self, self.committed) in late
        return not is_late and bool(original(self))


@fault("POLL-FAIR-1", "ISOLATE-2", "DELIVER-1", bindings=HTTP)
def while_a_record_comes_again_its_owner_gets_no_other() -> None:
    """While a record that was handed out before is in flight, its holder is handed out nothing else."""

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        if any(cursor in again for cursor in self.held.values()):
            return None
        found: Cursor | None = original(self)
        return found

    again: set[Cursor] = set()

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        number, redelivered = original(self)
        (again.add if redelivered else again.discard)(self)
        return number, redelivered


@fault("REBALANCE-4", "POLL-OK-1", bindings=HTTP)
def who_leaves_and_comes_back_pauses_the_group() -> None:
    """A member that unregistered and is back before the rebalance is over has the group wait for the end of it."""
    left: dict[tuple[Group, str], float] = {}
    paused: dict[Group, float] = {}

    @wrap(QueueBroker, "unregister")
    def unregister(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        left[consumer.group, consumer.name] = self.now + consumer.group.clock_offset
        original(self, consumer)

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, topic_names: Any) -> None:
        original(self, consumer, topic_names)
        now, timeout = self.now + consumer.group.clock_offset, self.settings.rebalance_timeout
        at = left.pop((consumer.group, consumer.name), None)
        if at is not None and now < at + timeout:
            paused[consumer.group] = now + timeout

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        if self.now + consumer.group.clock_offset < paused.get(consumer.group, 0.0):
            return None
        return original(self, consumer)


@fault("ACK-COMMIT-2", bindings=HTTP)
def behind_what_came_again_the_next_waits_for_a_heartbeat() -> None:
    """The acknowledgement of a record that came again leaves it among those that come again until a heartbeat."""
    stuck: dict[Consumer, set[Cursor]] = {}

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor = consumer.held.get(number)
        original(self, consumer, number, commit=commit)
        if commit and cursor in given_back:
            given_back.discard(cursor)
            stuck.setdefault(consumer, set()).add(cursor)
        elif not commit and cursor is not None:
            given_back.add(cursor)

    given_back: set[Cursor | None] = set()

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        return self not in stuck.get(self.owner, ()) and bool(original(self))  # type: ignore[arg-type]

    @wrap(Operations, "_heartbeat")
    def heartbeat(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now)
        stuck.pop(self.broker.consumers[request.consumer_name], None)
        return outcome
