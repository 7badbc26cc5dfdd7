"""Faults of waiting polls, batches and clocks as a rewrite would have them: wake-ups lost, shared or spurious.

Their models are public reports on blocking reads of Redis Streams and on long polls of RocketMQ, and the slips of
condition variables: one `if` where a loop was meant, one waiter woken of several, one field for what each poll needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.deadlines import Deadlines
from reference_server.queue.broker import QueueBroker
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import NOTHING
from reference_server.queue.refusal import Refusal
from reference_server.server.long_poll import LongPoll
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.editing import as_object
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Hashable

    from reference_server.queue.group import Consumer, Cursor
    from reference_server.queue.outcomes import Outcome

_REAL_TIME = ("--heartbeat-timeout", "2", "--eviction-grace", "0.5", "--rebalance-timeout", "2")


def _answer_whoever_is_woken() -> None:
    @replace(LongPolls, "answered")
    def answered(self: LongPolls) -> list[tuple[Hashable, Outcome]]:
        answers: list[tuple[Hashable, Outcome]] = []
        for consumer in self._broker.take_wakeable():
            for waiter in tuple(self._waiters.get(consumer, ())):
                outcome = self._outcome(self._parked[waiter])
                self.cancel(waiter)
                answers.append((waiter, outcome))
            consumer.is_stranded = False
        return answers + self._expired()


@fault("POLL-WAIT-2", bindings=HTTP)
def a_record_ends_all_waits_of_its_consumer() -> None:
    """Of several waiting polls of a consumer one gets the record, and the others end empty before their time."""
    _answer_whoever_is_woken()


@fault("POLL-WAIT-2", bindings=STOMP)
def a_record_ends_the_waits_of_all_members() -> None:
    """A record wakes all members of its group, and those that it isn't for end empty before their time."""
    _answer_whoever_is_woken()

    @wrap(QueueBroker, "_wake_owner")
    def wake(original: Any, self: QueueBroker, cursor: Cursor) -> None:
        original(self, cursor)
        if cursor.owner is not None:
            members = cursor.owner.group.members.values()
            self._wakeable.update((member, None) for member in members if member.waiting)


@fault("POLL-WAIT-1", bindings=HTTP)
def a_wait_in_vain_takes_another_one_off() -> None:
    """When a poll has waited in vain, the newest waiting poll of its consumer is not woken any more: index -1."""
    ending: list[bool] = []

    @wrap(LongPolls, "_expired")
    def expired(original: Any, self: LongPolls) -> Any:
        ending.append(True)
        try:
            return original(self)
        finally:
            ending.pop()

    @replace(LongPolls, "cancel")
    def cancel(self: LongPolls, waiter: Hashable) -> None:
        parked = self._parked.pop(waiter, None)
        if parked is None:
            return
        self.deadlines.remove(waiter)
        waiters = self._waiters.get(parked.consumer, [])
        if waiter in waiters:
            waiters.remove(waiter)
            if ending and waiters:
                waiters.pop()
        if not waiters:
            self._waiters.pop(parked.consumer, None)
        self._broker.wait_no_more(parked.consumer)


@fault("POLL-WAIT-1", bindings=HTTP)
def who_leaves_goes_on_waiting() -> None:
    """A poll that waits is not refused when its consumer unregisters; the removal of the group does refuse it."""

    @wrap(QueueBroker, "unregister")
    def unregister(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        self._wakeable.pop(consumer, None)


@fault("POLL-WAIT-5", bindings=STOMP)
def silence_begins_with_the_wait() -> None:
    """When a poll has waited, its consumer counts as silent since the poll began, not since its answer."""

    @replace(QueueBroker, "wait_no_more")
    def wait_no_more(self: QueueBroker, consumer: Consumer) -> None:
        consumer.waiting -= 1
        self._waiting -= 1
        self._deadlines.set(consumer.group, self.now)


@fault("POLL-WAIT-1", bindings=STOMP)
def polls_wait_for_the_first_topic() -> None:
    """A record wakes a poll only if it is one of the topic that the consumer subscribed to first."""

    @wrap(QueueBroker, "_wake_owner")
    def wake(original: Any, self: QueueBroker, cursor: Cursor) -> None:
        if cursor.owner is None or next(iter(cursor.owner.topics), None) == cursor.partition.topic:
            original(self, cursor)


@fault("POLL-WAIT-1", "ISOLATE-1", bindings=HTTP)
def a_record_wakes_one_group() -> None:
    """A record wakes the polls of the first group that reads its topic, and of no other: one notify for all."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, topic_name: str, *arguments: Any, **named: Any) -> Any:
        followers = self._followers.get(topic_name, {})
        self._followers[topic_name] = dict.fromkeys(list(followers)[:1])
        try:
            return original(self, topic_name, *arguments, **named)
        finally:
            self._followers[topic_name] = followers


@fault("POLL-WAIT-1", bindings=HTTP, scope="server")
def what_comes_over_stomp_wakes_no_poll_over_http() -> None:
    """A record that is published over STOMP doesn't wake polls that wait over HTTP: each door has its own waiters."""
    over_http: set[Consumer] = set()
    over_stomp: list[bool] = []

    @wrap(LongPolls, "park")
    def park(original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, *more: Any) -> None:
        original(self, waiter, consumer, *more)
        (over_http.add if isinstance(waiter, LongPoll) else over_http.discard)(consumer)

    @wrap(QueueBinding, "perform")
    def perform(original: Any, *arguments: Any) -> Any:
        over_stomp.append(True)
        try:
            return original(*arguments)
        finally:
            over_stomp.pop()

    @wrap(QueueBroker, "_wake_owner")
    def wake(original: Any, self: QueueBroker, cursor: Cursor) -> None:
        if not (over_stomp and cursor.owner in over_http):
            original(self, cursor)


@fault("ACK-OK-1", bindings=HTTP, scope="server")
def each_door_has_its_own_records_in_flight() -> None:
    """A record that was polled over STOMP can't be acknowledged over HTTP, nor the other way round."""
    doors: dict[int, bool] = {}
    over_stomp: list[bool] = []

    @wrap(QueueBinding, "perform")
    def perform(original: Any, *arguments: Any) -> Any:
        over_stomp.append(True)
        try:
            return original(*arguments)
        finally:
            over_stomp.pop()

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        delivery = original(self, consumer)
        if delivery is not None:
            doors[delivery.message_id] = bool(over_stomp)
        return delivery

    @wrap(QueueBroker, "settle")
    def settle(
        original: Any, self: QueueBroker, consumer: Consumer, message_id: int, *, commit: bool
    ) -> None:
        if doors.get(message_id, bool(over_stomp)) != bool(over_stomp):
            raise Refusal("not-in-flight", f"record {message_id} is not in flight here", "message_id")
        original(self, consumer, message_id, commit=commit)


# Answers over STOMP


@fault("QSTOMP-REPLY-1", "POLL-WAIT-3", bindings=STOMP)
def a_late_answer_has_the_latest_correlation() -> None:
    """The reply to a poll that waited has the correlation-id of the session's latest operation: one field for all."""
    latest: dict[Any, str | None] = {}

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Any) -> Any:
        latest[outlet] = frame.headers.get("correlation-id")
        return original(self, outlet, frame)

    @wrap(QueueBinding, "answer_late")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        address.correlation = latest.get(address.outlet)
        original(self, address, outcome)


@fault("QSTOMP-RECEIPT-1", "POLL-WAIT-3", bindings=STOMP)
def a_poll_is_receipted_when_it_begins_to_wait() -> None:
    """The RECEIPT of a poll that waits comes at once, and not with its answer."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Any) -> bool:
        original(self, outlet, frame)
        return True

    @wrap(QueueBinding, "answer_late")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        address.receipt = None
        original(self, address, outcome)


# Batches


@fault("ACK-OK-1", "POLL-BATCH-1", bindings=HTTP)
def of_a_batch_the_last_record_is_in_flight() -> None:
    """Of the records of a batch only the last one can be acknowledged: the others are overwritten in one field."""
    unknown: set[tuple[Consumer, int]] = set()

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        before = set(consumer.held)
        outcome: Outcome = original(self, consumer, limit)
        new = [each for each in consumer.held if each not in before]
        unknown.difference_update((consumer, each) for each in new)
        unknown.update((consumer, each) for each in new[:-1])
        return outcome

    @wrap(QueueBroker, "settle")
    def settle(
        original: Any, self: QueueBroker, consumer: Consumer, message_id: int, *, commit: bool
    ) -> None:
        if (consumer, message_id) in unknown:
            raise Refusal("not-in-flight", f"record {message_id} is not in flight", "message_id")
        original(self, consumer, message_id, commit=commit)


@fault("POLL-REDELIVERED-1", bindings=HTTP)
def a_batch_is_always_new() -> None:
    """`redelivered` is false for the records of a batch."""

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        outcome: Outcome = original(self, consumer, limit)
        if not limit or outcome is NOTHING:
            return outcome
        return msgspec.structs.replace(
            outcome, body=outcome.body.replace(b'"redelivered":true', b'"redelivered":false')
        )


# Clocks


@fault("CLOCK-1", "CLOCK-3", bindings=HTTP)
def the_clock_knows_whole_seconds() -> None:
    """The fraction of the `seconds` by which the time of the queue is to move is cut off."""

    @wrap(Operations, "advance")
    def advance(original: Any, self: Operations, body: bytes, *more: Any, **named: Any) -> Outcome:
        document = as_object(body) or {}
        seconds = document.get("seconds")
        if isinstance(seconds, float) and seconds >= 0:
            body = msgspec.json.encode({**document, "seconds": int(seconds)})
        outcome: Outcome = original(self, body, *more, **named)
        return outcome


@fault("LIVE-EVICT-1", bindings=HTTP, flags=_REAL_TIME)
def one_group_at_a_time_is_looked_at() -> None:
    """In real time, members of one group expire, and those of others at that instant don't: one deadline for all."""

    @wrap(Deadlines, "take_due")
    def take_due(original: Any, self: Any, now: float) -> list[Any]:
        due: list[Any] = original(self, now)
        return due[:1]
