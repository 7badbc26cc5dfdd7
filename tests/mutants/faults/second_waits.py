"""Faults of waiting polls, removals and instants in a second rewrite: what a wake-up reaches, and what comes between.

Their models are public reports on blocked readers of Redis Streams and on waiting requests of NATS JetStream, and slips
of locks: one for each map, where one for both was meant.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Group
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import NOTHING, Outcome
from reference_server.queue.refusal import Refusal
from reference_server.server.application import Application
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Hashable

#: Seconds between a look and the change that follows it, in which another request may come.
_GAP = 0.0005
#: The same where both are calls of a store.
_LONG_GAP = 0.01


# Waits


@fault("POLL-WAIT-2", "POLL-WAIT-1", bindings=HTTP)
def a_batch_does_not_wait() -> None:
    """A poll with `max_messages` and `wait_seconds` is answered at once as empty: the batch has a way of its own."""

    @wrap(Operations, "_poll")
    def poll(original: Any, self: Operations, body: bytes, now: float, waiter: Any) -> Any:
        is_batch = "max_messages" in (as_object(body) or {})
        return original(self, body, now, None if is_batch else waiter)


@fault("POLL-WAIT-2", bindings=STOMP)
def waits_are_whole_seconds() -> None:
    """The fraction of `wait_seconds` is cut off, so that half a second is none."""

    @wrap(LongPolls, "park")
    def park(original: Any, self: LongPolls, waiter: Any, consumer: Any, limit: int, seconds: float) -> None:
        original(self, waiter, consumer, limit, float(int(seconds)))


@fault("POLL-WAIT-1", bindings=HTTP)
def what_the_waiting_consumer_gives_back_wakes_others_only() -> None:
    """A record that a consumer gives back does not answer the consumer's own poll that waits."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        original(self, consumer, number, commit=commit)
        if not commit:
            self._wakeable.pop(consumer, None)


@fault("POLL-WAIT-1", bindings=STOMP)
def a_wait_knows_the_topics_of_its_beginning() -> None:
    """A poll waits for topics that its consumer had when it began, and not for one that is subscribed to meanwhile."""
    began: dict[Consumer, set[str]] = {}

    @wrap(QueueBroker, "wait")
    def wait(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        began[consumer] = set(consumer.topics)
        original(self, consumer)

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> Any:
        for consumer in list(self._broker._wakeable):
            registered = self._broker.consumers.get(consumer.name) is consumer
            ready = {cursor.partition.topic for cursor in consumer.assigned if cursor.is_ready()}
            if registered and ready and not ready & began.get(consumer, ready):
                del self._broker._wakeable[consumer]
        return original(self)


@fault("POLL-WAIT-2", bindings=HTTP)
def an_empty_subscription_ends_a_wait() -> None:
    """A poll that waits is answered as empty when its consumer subscribes or unsubscribes: its plan has changed."""

    def end_of(self: QueueBroker, consumer: Consumer) -> None:
        if consumer.waiting:
            consumer.is_stranded = True
            self._wakeable[consumer] = None

    for name in ("subscribe", "unsubscribe"):

        @wrap(QueueBroker, name)
        def change(original: Any, self: QueueBroker, consumer: Consumer, topics: Any) -> None:
            original(self, consumer, topics)
            end_of(self, consumer)


@fault("POLL-WAIT-2", bindings=STOMP)
def the_clock_of_the_queue_ends_waits() -> None:
    """A poll that waits ends when the time of the queue has moved by `wait_seconds`, whatever real time has passed."""
    ends: dict[Hashable, float] = {}

    @wrap(LongPolls, "park")
    def park(original: Any, self: LongPolls, waiter: Any, consumer: Any, limit: int, seconds: float) -> None:
        original(self, waiter, consumer, limit, seconds)
        ends[waiter] = self._wall() + seconds

    @wrap(Operations, "advance")
    def advance(original: Any, self: Operations, body: bytes, *more: Any, **named: Any) -> Outcome:
        outcome: Outcome = original(self, body, *more, **named)
        document = as_object(body) or {}
        if outcome.status == 200:
            for waiter, parked in self.long_polls._parked.items():
                group = parked.consumer.group.name
                if document.get("consumer_group_name", group) == group:
                    ends[waiter] -= document["seconds"]
                    self.long_polls.deadlines.set(waiter, ends[waiter])
        return outcome


@fault("LIVE-EVICT-1", "POLL-WAIT-5", bindings=HTTP)
def who_waited_once_is_alive_for_the_longest_wait() -> None:
    """A consumer that waited is alive until the end of the wait that it asked for, also if it was answered before."""
    until: dict[Consumer, float] = {}

    @wrap(LongPolls, "park")
    def park(
        original: Any, self: LongPolls, waiter: Any, consumer: Consumer, limit: int, seconds: float
    ) -> None:
        original(self, waiter, consumer, limit, seconds)
        until[consumer] = time.monotonic() + seconds

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for member in self.members.values():
            if until.get(member, 0) > time.monotonic():
                member.seen = max(member.seen, now)
        silent: list[Consumer] = original(self, now)
        return silent


@fault("DELIVER-1", "POLL-WAIT-1", bindings=HTTP)
def of_a_batch_that_waited_the_second_record_is_lost() -> None:
    """Of the records that come at once for a batch that waits one is delivered, and the others count as in flight."""

    @wrap(LongPolls, "_outcome")
    def outcome_of(original: Any, self: LongPolls, parked: Any) -> Outcome:
        outcome: Outcome = original(self, parked)
        document = as_object(outcome.body) if outcome.status == 200 else None
        if document and len(document.get("records", ())) > 1:
            cut = {"records": document["records"][:1]}
            return msgspec.structs.replace(outcome, body=msgspec.json.encode(cut))
        return outcome


@fault("GROUP-REMOVE-2", "POLL-WAIT-1", bindings=STOMP)
def the_first_wait_of_a_removed_group_is_refused() -> None:
    """When a group is removed, of its members' polls that wait one is refused, and the others wait on."""

    @wrap(QueueBroker, "remove_group")
    def remove(original: Any, self: QueueBroker, name: str, *, now: float) -> None:
        group = self.groups.get(name)
        waiting = [each for each in group.members.values() if each.waiting] if group else []
        original(self, name, now=now)
        for each in waiting[1:]:
            self._wakeable.pop(each, None)


@fault("POLL-BATCH-1", "POLL-FAIR-1", bindings=HTTP)
def a_batch_is_of_one_topic() -> None:
    """A batch has records of one topic; those of the consumer's next topic are skipped once, and never come again."""

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        outcome: Outcome = original(self, consumer, limit)
        document = as_object(outcome.body) if limit and outcome.status == 200 else None
        if not document:
            return outcome
        first = document["records"][0]["message"]["topicName"]
        kept = [each for each in document["records"] if each["message"]["topicName"] == first]
        return msgspec.structs.replace(outcome, body=msgspec.json.encode({"records": kept}))


# Signs of life and evictions, by session


@fault("LIVE-GONE-1", bindings=STOMP)
def a_session_keeps_the_consumers_it_found() -> None:
    """Heartbeats and polls of an evicted consumer succeed in a session that named it before: it was kept there."""
    known: dict[str, Consumer] = {}

    @wrap(QueueBroker, "consumer")
    def find(original: Any, self: QueueBroker, name: str, *, now: float) -> Consumer:
        try:
            found: Consumer = original(self, name, now=now)
        except Refusal:
            kept = known.get(name)
            if kept is None or kept.group.name not in self.groups or kept.topics:
                raise
            return kept
        if found.topics:
            known.pop(name, None)
        else:
            known[name] = found
        return found


# Two things at one instant


def _pause_before(path: str) -> None:
    """Let the change of one operation come a moment behind the look that decided on its answer."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        if asked != path:
            outcome: Outcome | None = original(self, asked, body, waiter)
            return outcome
        return _pausing(original, self, asked, body, waiter)


def _pausing(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
    name = str((as_object(body) or {}).get("consumer_name"))
    was_there = name in self._broker.consumers
    time.sleep(_GAP)
    outcome: Outcome | None = original(self, asked, body, waiter)
    if was_there and outcome is not None and outcome.status == 404:
        return Outcome(202)
    return outcome


@fault("ATOMIC-1", "MEMBER-UNREGISTER-2", "MEMBER-UNREGISTER-1", bindings=HTTP)
def two_departures_at_once_both_succeed() -> None:
    """Of two requests at one instant to unregister a consumer each is answered 202."""
    _pause_before("/consumer/unregister-consumer")


@fault("ATOMIC-1", "ACK-OK-1", "NACK-OK-1", bindings=HTTP)
def an_acknowledgement_and_a_giving_back_at_once_both_win() -> None:
    """Of an acknowledgement and a negative one of a record that come at one instant each is answered 202."""
    paths = ("/consumer/acknowledgement", "/consumer/negative-acknowledgement")

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        document = (as_object(body) or {}) if asked in paths else {}
        holder = self._broker.consumers.get(str(document.get("consumer_name")))
        number = document.get("message_id")
        held = holder is not None and str(number).isdigit() and int(str(number)) in tuple(holder.held)
        if held:
            time.sleep(_GAP)
        outcome: Outcome | None = original(self, asked, body, waiter)
        if held and outcome is not None and outcome.status == 409:
            return Outcome(202)
        return outcome


@fault("ATOMIC-1", "GROUP-ADD-2", "MEMBER-REGISTER-1", bindings=HTTP)
def a_group_that_is_added_twice_at_once_is_two() -> None:
    """Of two additions of a group at one instant the later one replaces the other's group, with who is in it."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        name = (
            str((as_object(body) or {}).get("consumer_group_name")) if asked == "/consumer-group/add" else ""
        )
        is_new = bool(name) and name not in self._broker.groups
        if is_new:
            time.sleep(_LONG_GAP)
            with self._lock:
                if name in self._broker.groups:
                    self._broker.remove_group(name, now=self._broker.now)
        outcome: Outcome | None = original(self, asked, body, waiter)
        return outcome


@fault("ATOMIC-1", "MEMBER-REGISTER-2", "GROUP-REMOVE-2", bindings=HTTP)
def who_registers_while_its_group_is_removed_is_left_over() -> None:
    """A registration that overlaps with the removal of its group is answered 200, and the name is taken for ever."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        document = as_object(body) or {}
        group = self._broker.groups.get(str(document.get("consumer_group_name")))
        is_found = asked == "/consumer/register-consumer" and group is not None
        if is_found:
            time.sleep(_GAP)
        outcome: Outcome | None = original(self, asked, body, waiter)
        if is_found and outcome is not None and outcome.status == 404 and group is not None:
            with self._lock:
                name = str(document["consumer_name"])
                self._broker.consumers[name] = Consumer(name, group, self._broker.now)
            return Outcome(200)
        return outcome


# Removal of topics


@fault("TOPIC-REMOVE-1", "ISOLATE-2", "DELIVER-1", bindings=HTTP)
def a_removal_skips_a_turn_of_other_topics() -> None:
    """When a topic is removed, records in flight of the topic that was added behind it count as acknowledged."""

    @wrap(QueueBroker, "remove_topic")
    def remove(original: Any, self: QueueBroker, name: str, *, now: float) -> None:
        listed = list(self.topics)
        behind = listed[listed.index(name) + 1 :] if name in self.topics else []
        original(self, name, now=now)
        for group in self.groups.values():
            for cursor in [each for topic in behind[:1] for each in group.cursors.get(topic, ())]:
                if cursor.in_flight is not None:
                    cursor.settle(commit=True)


@fault("TOPIC-REMOVE-9", "POLL-WAIT-1", bindings=HTTP)
def a_removal_ends_one_wait_of_each_member() -> None:
    """A member with several polls that wait for a removed topic has one of them ended."""

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> Any:
        answers: list[tuple[Hashable, Outcome]] = []
        for consumer in [each for each in self._broker._wakeable if each.is_stranded and not each.topics]:
            waiters = self._waiters.get(consumer, [])
            if len(waiters) > 1:
                consumer.is_stranded = False
                del self._broker._wakeable[consumer]
                waiter = waiters[0]
                self.cancel(waiter)
                answers.append((waiter, NOTHING))
        return answers + original(self)


@fault("TOPIC-ADD-1", "ATOMIC-1", bindings=HTTP)
def a_thousand_names_of_topics_are_known() -> None:
    """Each fiftieth topic is answered 200 and not there: the table of names grew while it was written."""
    added: Counter[str] = Counter()

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Any:
        topic = original(self, name, *arguments, **named)
        added["topics"] += 1
        if added["topics"] % 50 == 0:
            del self.topics[name]
        return topic
