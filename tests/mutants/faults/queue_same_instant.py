"""Faults that show where several timers fire, several requests come, or several polls wait at one instant."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.long_polls import LongPolls
from reference_server.server.application import Application
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Hashable

    from reference_server.queue.outcomes import Outcome

#: Seconds between a look at a group and the change of it, in which another request may change it.
GAP = 0.0005


def _silent(group: Group, now: float) -> list[Consumer]:
    timeout = group.settings.heartbeat_timeout
    return [m for m in group.members.values() if not m.waiting and m.seen + timeout <= now]


@fault("LIVE-EVICT-1", bindings=HTTP)
def one_eviction_at_a_time() -> None:
    """Of members that expire at one instant only one is evicted; the others get a new timeout."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for member in _silent(self, now)[1:]:
            member.seen = now
        evicted: list[Consumer] = original(self, now)
        return evicted


@fault("DELIVER-2", bindings=STOMP)
def what_the_third_held_is_lost() -> None:
    """Of three members that expire at one instant, the records of the last one are lost."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for member in _silent(self, now)[2:]:
            for cursor in tuple(member.held.values()):
                cursor.settle(commit=True)
        evicted: list[Consumer] = original(self, now)
        return evicted


@fault("REBALANCE-1", bindings=HTTP)
def partitions_pass_from_one_evicted_member_to_the_next() -> None:
    """Of members that expire at one instant, the last one takes a partition along that it has just inherited."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        evicted: list[Consumer] = original(self, now)
        if len(evicted) > 1:
            for cursors in self.cursors.values():
                cursors[0].pass_to(None)
        return evicted


def _lose_at_the_end(is_lost: Any) -> None:
    """Leave partitions without an owner whose rebalance is over when `is_lost(cursor, silent members)`."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        silent = _silent(self, now)
        over = [c for c in self.all_cursors() if c.overdue <= now and is_lost(c, silent)]
        evicted: list[Consumer] = original(self, now)
        for cursor in over:
            if cursor.in_flight is not None:
                cursor.settle(commit=False)
            cursor.pass_to(None)
        return evicted


@fault("REBALANCE-1", bindings=HTTP)
def partitions_of_an_owner_evicted_at_the_end_are_lost() -> None:
    """A partition whose owner is evicted when the rebalance ends has no owner until the next rebalance."""

    def is_lost(cursor: Cursor, silent: list[Consumer]) -> bool:
        return cursor.owner in silent

    _lose_at_the_end(is_lost)


@fault("REBALANCE-1", bindings=STOMP)
def partitions_for_a_newcomer_evicted_at_the_end_are_lost() -> None:
    """A partition whose next owner is evicted when the rebalance ends has no owner until the next rebalance."""

    def is_lost(cursor: Cursor, silent: list[Consumer]) -> bool:
        return cursor.next_owner in silent

    _lose_at_the_end(is_lost)


@fault("REBALANCE-1", "ASSIGN-1", "ASSIGN-2", bindings=HTTP)
def of_subscriptions_at_once_the_last_one_counts() -> None:
    """Of subscriptions of a group that come at once each is answered 200, and only the last one is kept."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        document = as_object(body) if asked == "/consumer/subscribe-topic" else None
        consumer = self._broker.consumers.get(str((document or {}).get("consumer_name")))
        if consumer is None:
            outcome: Outcome | None = original(self, asked, body, waiter)
            return outcome
        group = consumer.group
        before = {member: set(member.topics) for member in group.members.values()}
        threading.Event().wait(GAP)
        outcome = original(self, asked, body, waiter)
        with self._lock:
            for member, topics in before.items():
                if member is not consumer:
                    more = [self._broker.topics[name] for name in set(member.topics) - topics]
                    group.unsubscribe(member, more, self._broker.now + group.clock_offset)
        return outcome


def _after_a_gone_one() -> list[int]:
    """Count the waiting polls whose connection has ended, until the count is reset."""
    gone = [0]

    @wrap(Application, "cancel")
    def cancel(original: Any, self: Application, waiter: Hashable) -> None:
        gone[0] += waiter in self.operations.long_polls._parked
        original(self, waiter)

    return gone


@fault("POLL-WAIT-1", "POLL-WAIT-6", bindings=HTTP)
def a_gone_poll_keeps_the_last_from_waking() -> None:
    """After the end of a connection with a waiting poll, the next record wakes all of several polls but the last."""
    gone = _after_a_gone_one()

    @wrap(QueueBroker, "take_wakeable")
    def take(original: Any, self: QueueBroker) -> list[Consumer]:
        wakeable: list[Consumer] = original(self)
        if gone[0] and len(wakeable) > 1:
            gone[0] = 0
            wakeable.pop()
        return wakeable


@fault("POLL-WAIT-1", bindings=HTTP, effort="standard")
def thirty_wait_and_no_more() -> None:
    """While thirty polls wait, a further one is never woken."""
    parked = [0]
    deaf: set[Consumer] = set()

    @wrap(QueueBroker, "wait")
    def wait(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        parked[0] += 1
        if parked[0] > 30:
            deaf.add(consumer)

    @wrap(QueueBroker, "wait_no_more")
    def wait_no_more(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        parked[0] -= 1
        deaf.discard(consumer)

    @wrap(QueueBroker, "take_wakeable")
    def take(original: Any, self: QueueBroker) -> list[Consumer]:
        wakeable: list[Consumer] = original(self)
        return [consumer for consumer in wakeable if consumer not in deaf]


@fault("POLL-WAIT-1", bindings=STOMP)
def a_consumer_has_one_waiting_poll() -> None:
    """Of several waiting polls of one consumer only the newest is woken."""

    @wrap(LongPolls, "park")
    def park(original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, *arguments: Any) -> None:
        original(self, waiter, consumer, *arguments)
        del self._waiters[consumer][:-1]

    @wrap(LongPolls, "cancel")
    def cancel(original: Any, self: LongPolls, waiter: Hashable) -> None:
        parked = self._parked.get(waiter)
        if parked is not None and waiter not in self._waiters.setdefault(parked.consumer, []):
            self._waiters[parked.consumer].append(waiter)
        original(self, waiter)
