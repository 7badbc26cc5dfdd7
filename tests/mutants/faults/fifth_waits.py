"""Faults of long polls of a fifth rewrite: wake-ups that are missing, early ends, and bystanders that are held up.

Their models are blocked readers that share one timer, one flag or one list, and doors that do not know of each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import introspection
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Group
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.server.clock import wall
from reference_server.server.long_poll import LongPoll
from reference_server.server.requests import RequestReader
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Hashable

    from reference_server.queue.outcomes import Outcome
    from reference_server.server.requests import Request


def _end_early(polls: LongPolls, consumer: Consumer) -> None:
    """End the waits of a consumer as empty ones, as if their time were over."""
    for waiter in polls._waiters.get(consumer, ()):
        polls.deadlines.set(waiter, 0.0)


# Wake-ups


@fault("POLL-WAIT-1", "PUB-ALIAS-1", bindings=HTTP)
def what_is_published_by_the_short_path_wakes_nobody() -> None:
    """A record that comes by `/publish/{topic}` does not wake polls that wait."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, *more: Any, **named: Any) -> Outcome | None:
        before = dict(self.broker._wakeable)
        outcome: Outcome | None = original(self, path, *more, **named)
        if path.startswith("/publish/"):
            self.broker._wakeable = before
        return outcome


@fault("POLL-WAIT-1", "NACK-AGAIN-1", bindings=HTTP)
def what_is_given_back_wakes_no_batch() -> None:
    """A record that is given back wakes waits for a single record, and none for a batch."""
    batches: set[Hashable] = set()

    @wrap(LongPolls, "park")
    def park(
        original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, limit: int, *more: Any
    ) -> None:
        if limit:
            batches.add(waiter)
        original(self, waiter, consumer, limit, *more)

    @wrap(Operations, "_give_back")
    def give_back(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        before = dict(self.broker._wakeable)
        outcome: Outcome = original(self, request, now)
        for consumer in set(self.broker._wakeable) - set(before):
            if batches.issuperset(self.long_polls._waiters.get(consumer, ())):
                del self.broker._wakeable[consumer]
        return outcome


@fault("POLL-WAIT-1", "ACK-COMMIT-2", bindings=HTTP, scope="server")
def an_acknowledgement_by_send_wakes_no_poll_by_post() -> None:
    """An acknowledgement that is sent over STOMP does not wake polls that wait over HTTP."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Any) -> Any:
        broker, waiters = self._operations.broker, self._operations.long_polls._waiters
        before = set(broker._wakeable)
        done = original(self, outlet, frame)
        if frame.headers["destination"] == "/consumer/acknowledgement":
            for each in set(broker._wakeable) - before:
                if all(isinstance(waiter, LongPoll) for waiter in waiters.get(each, ())):
                    del broker._wakeable[each]
        return done


@fault("POLL-WAIT-1", "MEMBER-UNSUBSCRIBE-1", bindings=HTTP)
def who_gives_up_one_topic_waits_for_none() -> None:
    """Unsubscribing from a topic takes the consumer's waiting polls off the lists of its other topics too."""
    off: set[Hashable] = set()

    @wrap(Operations, "_unsubscribe")
    def unsubscribe(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now)
        consumer = self.broker.consumers[request.consumer_name]
        off.update(self.long_polls._waiters.get(consumer, ()))
        return outcome

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> Any:
        for consumer in list(self._broker._wakeable):
            waiters = self._waiters.get(consumer, ())
            if waiters and off.issuperset(waiters) and self._broker.consumers.get(consumer.name) is consumer:
                del self._broker._wakeable[consumer]
        return original(self)


# Early ends


@fault("POLL-WAIT-2", bindings=HTTP)
def an_advance_of_its_group_ends_a_wait() -> None:
    """When the time of a group moves on, its waiting polls end as empty ones."""

    @wrap(Operations, "advance")
    def advance(original: Any, self: Operations, body: bytes, *more: Any, **named: Any) -> Outcome:
        outcome: Outcome = original(self, body, *more, **named)
        group = self.broker.groups.get((as_object(body) or {}).get("consumer_group_name", ""))
        for member in list(group.members.values()) if group is not None else ():
            _end_early(self.long_polls, member)
        return outcome


@fault("POLL-WAIT-2", bindings=HTTP)
def a_heartbeat_ends_a_wait() -> None:
    """A heartbeat of a consumer ends its waiting polls as empty ones: one request of a consumer at a time."""

    @wrap(Operations, "_heartbeat")
    def heartbeat(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now)
        _end_early(self.long_polls, self.broker.consumers[request.consumer_name])
        return outcome


@fault("POLL-WAIT-2", "POLL-WAIT-1", bindings=HTTP)
def a_rebalance_ends_waits() -> None:
    """A subscription of another member ends the waiting polls of its group as empty ones, so that they ask again."""

    @wrap(Operations, "_subscribe")
    def subscribe(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now)
        consumer = self.broker.consumers[request.consumer_name]
        for member in consumer.group.members.values():
            if member is not consumer:
                _end_early(self.long_polls, member)
        return outcome


@fault("POLL-WAIT-2", bindings=STOMP)
def the_end_of_a_session_ends_waits_of_its_consumers_elsewhere() -> None:
    """When a session ends whose poll waits, the polls of the same consumer on other connections end as empty ones."""

    @wrap(QueueBinding, "cancel")
    def cancel(original: Any, self: QueueBinding, outlet: Any) -> None:
        polls = self._operations.long_polls
        found = [polls._parked.get(address) for address in self._parked.get(outlet, ())]
        original(self, outlet)
        for parked in found:
            if parked is not None:
                _end_early(polls, parked.consumer)


@fault("POLL-WAIT-2", bindings=HTTP)
def a_second_wait_puts_the_first_off() -> None:
    """The waits of a consumer share a timer: the first ends as empty only when the time of the last one is over."""

    @wrap(LongPolls, "park")
    def park(
        original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, limit: int, seconds: float
    ) -> None:
        original(self, waiter, consumer, limit, seconds)
        for other in self._waiters[consumer]:
            self.deadlines.remove(other)
            self.deadlines.set(other, wall() + seconds)


@fault("POLL-WAIT-2", "HTTP-PIPE-1", bindings=HTTP)
def a_wait_behind_another_request_does_not_wait() -> None:
    """A waiting poll that comes together with a request before it is answered at once, as empty."""

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        requests, refusal = original(self, data, now)
        return [*requests[:1], *map(_without_wait, requests[1:])], refusal


def _without_wait(request: Request) -> Request:
    document = as_object(request.body)
    if request.path != "/consumer/poll" or document is None or "wait_seconds" not in document:
        return request
    del document["wait_seconds"]
    return msgspec.structs.replace(request, body=msgspec.json.encode(document))


@fault("TOPIC-REMOVE-6", "POLL-WAIT-1", bindings=HTTP)
def a_removal_keeps_waits_of_its_readers_from_waking() -> None:
    """A removal takes the waiting polls of its readers off the lists of their other topics, and leaves them waiting."""
    off: set[Hashable] = set()

    @wrap(Operations, "_remove_topic")
    def remove(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        members = [each for group in self.broker.groups.values() for each in group.members.values()]
        readers = [each for each in members if request.topicName in each.topics and len(each.topics) > 1]
        outcome: Outcome = original(self, request, now)
        for reader in readers:
            off.update(self.long_polls._waiters.get(reader, ()))
        return outcome

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> Any:
        for consumer in [each for each in self._broker._wakeable if each.topics]:
            if off.issuperset(self._waiters.get(consumer, (None,))):
                del self._broker._wakeable[consumer]
        return original(self)


# Bystanders of a wait


@fault("REBALANCE-1", "ASSIGN-2", "POLL-WAIT-1", bindings=HTTP)
def a_wait_holds_its_partitions() -> None:
    """Partitions of a member whose poll waits do not move until the wait is over."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        owners = {cursor: cursor.owner for cursor in self.cursors[topic]}
        original(self, topic, now)
        for cursor, owner in owners.items():
            if owner is not None and owner.waiting and topic in owner.topics and cursor.in_flight is None:
                cursor.pass_to(owner)

    @wrap(QueueBroker, "wait_no_more")
    def wait_no_more(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        if not consumer.waiting and self.consumers.get(consumer.name) is consumer:
            for topic in consumer.topics:
                consumer.group.rebalance(topic, self.now + consumer.group.clock_offset)
            self._rebalanced(consumer.group)


@fault("INTRO-GROUP-1", bindings=HTTP, scope="server")
def members_who_wait_are_not_described() -> None:
    """A member whose poll waits is missing among the members of its group's description."""

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        described: dict[str, Any] = original(group)
        waiting = {member.name for member in group.members.values() if member.waiting}
        described["members"] = [each for each in described["members"] if each["consumer_name"] not in waiting]
        return described


@fault("POLL-WAIT-4", "POLL-BATCH-2", "REFUSE-1", bindings=HTTP)
def a_wait_that_is_too_long_takes_a_record() -> None:
    """The bounds of a poll are looked at after its record was taken: the poll is refused, and the record in flight."""

    @wrap(Operations, "_poll")
    def poll(original: Any, self: Operations, body: bytes, *more: Any) -> Outcome | None:
        try:
            outcome: Outcome | None = original(self, body, *more)
        except Refusal:
            name = (as_object(body) or {}).get("consumer_name")
            consumer = self.broker.consumers.get(name) if isinstance(name, str) else None
            if consumer is not None:
                self.broker.poll(consumer)
            raise
        return outcome
