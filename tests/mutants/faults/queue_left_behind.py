"""Faults in what waits, refusals, cut connections and departures leave behind.

Each is modelled on public bug reports of queues and long polls, or was seeded into a broker that was written from the
text alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.server.application import Application
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Hashable

    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Topic


def _count_on(method: str, owner: type = LongPolls) -> None:
    """Have the consumer of a long poll count as waiting after its poll was ended by `method`."""
    ending: list[bool] = []

    @wrap(owner, method)
    def end(original: Any, *arguments: Any) -> Any:
        ending.append(True)
        try:
            return original(*arguments)
        finally:
            ending.pop()

    @wrap(QueueBroker, "wait_no_more")
    def wait_no_more(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        if ending:
            consumer.waiting += 1


@fault("POLL-WAIT-5", "LIVE-EVICT-1", bindings=HTTP)
def who_waited_in_vain_lives_for_ever() -> None:
    """A consumer whose poll has waited in vain is not evicted: its waiter is never taken off."""
    _count_on("_expired")


@fault("POLL-WAIT-5", "LIVE-EVICT-1", bindings=STOMP)
def who_was_answered_lives_for_ever() -> None:
    """A consumer whose waiting poll was answered by a record is not evicted."""
    _count_on("answered")


@fault("POLL-WAIT-5", "LIVE-EVICT-1", bindings=HTTP)
def who_waited_on_a_cut_connection_lives_for_ever() -> None:
    """A consumer whose poll waited on an HTTP connection that was cut is not evicted: common in long polls."""
    _count_on("cancel", Application)


@fault("POLL-WAIT-5", "LIVE-EVICT-1", bindings=STOMP)
def who_waited_in_a_cut_session_lives_for_ever() -> None:
    """A consumer whose poll waited in a session that was cut is not evicted."""
    _count_on("cancel", QueueBinding)


@fault("POLL-WAIT-5", bindings=HTTP)
def one_flag_for_all_waits() -> None:
    """A consumer counts as silent as soon as one of its waiting polls ends, though another one waits."""
    flagged: set[Consumer] = set()

    @wrap(QueueBroker, "wait")
    def wait(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        flagged.add(consumer)

    @wrap(QueueBroker, "wait_no_more")
    def wait_no_more(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        flagged.discard(consumer)

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        counts = {member: member.waiting for member in self.members.values()}
        for member in counts:
            member.waiting = int(member in flagged)
        silent: list[Consumer] = original(self, now)
        for member, count in counts.items():
            member.waiting = count
        return silent


@fault("POLL-WAIT-6", "POLL-WAIT-5", "DELIVER-2", bindings=HTTP)
def a_wait_outlives_its_connection() -> None:
    """A poll whose HTTP connection was cut waits on, and takes the next record along."""
    replace(Application, "cancel")(lambda self, waiter: None)


@fault("POLL-WAIT-6", "POLL-WAIT-5", "DELIVER-2", bindings=STOMP)
def a_wait_outlives_its_session() -> None:
    """A poll whose session was cut waits on, and takes the next record along."""

    @replace(QueueBinding, "cancel")
    def cancel(self: QueueBinding, outlet: Any) -> None:
        self._parked.pop(outlet, None)


@fault("POLL-BATCH-1", bindings=HTTP)
def a_batch_that_waits_is_a_single_record() -> None:
    """A poll with `max_messages` that had to wait is answered in the form of a single record."""

    @wrap(LongPolls, "park")
    def park(
        original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, limit: int, seconds: float
    ) -> None:
        original(self, waiter, consumer, 0, seconds)


@fault("DELIVER-3", "REFUSE-1", bindings=HTTP)
def looking_at_a_group_frees_its_records() -> None:
    """Reading `/consumer-groups/{group}` frees what is in flight there, as a look at a consumer once did."""

    @wrap(Operations, "read")
    def read(original: Any, self: Operations, path: str, *, now: float) -> Outcome:
        group = self.broker.groups.get(path.removeprefix("/consumer-groups/"))
        if group is not None:
            for cursor in group.all_cursors():
                if cursor.in_flight is not None:
                    cursor.settle(commit=False)
        outcome: Outcome = original(self, path, now=now)
        return outcome


@fault("LIVE-EVICT-1", bindings=HTTP)
def looking_at_a_group_keeps_its_members_alive() -> None:
    """Reading `/consumer-groups/{group}` is a sign of life of its members."""

    @wrap(Operations, "read")
    def read(original: Any, self: Operations, path: str, *, now: float) -> Outcome:
        outcome: Outcome = original(self, path, now=now)
        group = self.broker.groups.get(path.removeprefix("/consumer-groups/"))
        for member in group.members.values() if group is not None else ():
            self.broker._sign_of_life(member, now)
        return outcome


@fault("LIVE-KEEP-1", bindings=HTTP)
def an_eviction_takes_the_quiet_along() -> None:
    """When a member is evicted, those that were silent for nine tenths of the timeout are evicted with it."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        evicted: list[Consumer] = original(self, now)
        if evicted:
            since = now - 0.9 * self.settings.heartbeat_timeout
            quiet = [m for m in self.members.values() if not m.waiting and m.seen <= since]
            for member in quiet:
                self.leave(member, now)
            evicted += quiet
        return evicted


def _free_all_of(group: Group, consumer: Consumer, topics: list[str]) -> None:
    """Free what others hold of these topics, if the consumer owns nothing of them."""
    for topic in topics:
        cursors = group.cursors.get(topic, [])
        if all(cursor.owner is not consumer for cursor in cursors):
            for cursor in cursors:
                if cursor.in_flight is not None:
                    cursor.settle(commit=False)


@fault("DELIVER-3", "ACK-OK-1", bindings=HTTP)
def who_stands_by_frees_records_by_leaving() -> None:
    """When a member leaves or is evicted that owned nothing of a topic, what others hold of it is freed."""

    @wrap(Group, "leave")
    def leave(original: Any, self: Group, consumer: Consumer, now: float) -> None:
        _free_all_of(self, consumer, list(consumer.topics))
        original(self, consumer, now)


@fault("DELIVER-3", "ACK-OK-1", bindings=STOMP)
def who_stands_by_frees_records_by_unsubscribing() -> None:
    """When a member unsubscribes that owned nothing of a topic, what others hold of it is freed."""

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        _free_all_of(self, consumer, [topic.name for topic in topics if topic.name in consumer.topics])
        original(self, consumer, topics, now)


@fault("DELIVER-2", bindings=HTTP)
def an_evicted_holder_loses_all_but_one() -> None:
    """Of several records that a consumer held when it was evicted, only one comes again."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        timeout = self.settings.heartbeat_timeout
        for member in self.members.values():
            if not member.waiting and member.seen + timeout <= now:
                for cursor in list(member.held.values())[1:]:
                    cursor.committed += 1
        evicted: list[Consumer] = original(self, now)
        return evicted


@fault("DELIVER-2", bindings=STOMP)
def a_record_that_changes_hands_twice_is_lost() -> None:
    """A record that its second holder loses too does not come again."""
    lost: dict[Cursor, tuple[int, int]] = {}

    @wrap(Group, "_release")
    def release(original: Any, self: Group, consumer: Consumer, topic: str) -> None:
        for cursor in self.cursors[topic]:
            if cursor.owner is consumer and cursor.in_flight is not None:
                offset, times = lost.get(cursor, (-1, 0))
                times = times + 1 if offset == cursor.committed else 1
                lost[cursor] = cursor.committed, times
                if times > 1:
                    cursor.committed += 1
        original(self, consumer, topic)


@fault("ACK-COMMIT-1", bindings=HTTP)
def acknowledgements_out_of_order_are_not_kept() -> None:
    """An acknowledgement of another record than the oldest that a consumer holds is forgotten with its ownership."""
    forgotten: dict[Cursor, int] = {}

    @wrap(QueueBroker, "settle")
    def settle(
        original: Any, self: QueueBroker, consumer: Consumer, message_id: int, *, commit: bool
    ) -> None:
        cursor = consumer.held.get(message_id)
        is_oldest = next(iter(consumer.held), None) == message_id
        if cursor is not None and commit and not is_oldest:
            forgotten.setdefault(cursor, cursor.committed)
        original(self, consumer, message_id, commit=commit)

    @wrap(Cursor, "pass_to")
    def pass_to(original: Any, self: Cursor, consumer: Consumer | None) -> None:
        if consumer is not self.owner and self in forgotten:
            self.committed = forgotten.pop(self)
        original(self, consumer)


@fault("MEMBER-SUBSCRIBE-2", bindings=HTTP)
def a_refused_list_subscribes_to_what_others_read() -> None:
    """A list with an unknown topic is refused, but its topics that the group reads already are subscribed to."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Any) -> None:
        try:
            original(self, consumer, names)
        except Refusal:
            known = [self.topics[name] for name in names if name in consumer.group.cursors]
            consumer.group.subscribe(consumer, known, self.now + consumer.group.clock_offset)
            self._rebalanced(consumer.group)
            raise


@fault("TOPIC-ADD-2", "PART-RR-1", bindings=HTTP)
def adding_a_topic_again_begins_its_round_anew() -> None:
    """Adding a topic again is refused, but the next record without a key goes to the first partition."""

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Topic:
        if name in self.topics:
            self.topics[name]._turn = 0
        topic: Topic = original(self, name, *arguments, **named)
        return topic
