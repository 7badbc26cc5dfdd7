"""Faults of long polls in a fourth rewrite: ends of waits, whom a wake-up reaches, and what a wait says of life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.outcomes import NOTHING, Outcome
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, fault

if TYPE_CHECKING:
    from collections.abc import Hashable

    from reference_server.queue.group import Consumer, Cursor


def _change_seconds(change: Any) -> None:
    @wrap(LongPolls, "park")
    def park(
        original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, limit: int, seconds: float
    ) -> None:
        original(self, waiter, consumer, limit, change(seconds))


@fault("POLL-WAIT-2", bindings=HTTP)
def waits_end_after_two_seconds() -> None:
    """A wait ends after two seconds, whatever it asked for."""
    _change_seconds(lambda seconds: min(seconds, 2.0))


@fault("POLL-WAIT-1", bindings=HTTP)
def a_record_wakes_the_member_that_waits_longest() -> None:
    """A record wakes the member of a group that has waited longest, also if another one owns its partition."""

    @wrap(QueueBroker, "_wake_owner")
    def wake(_original: Any, self: QueueBroker, cursor: Cursor) -> None:
        if cursor.owner is not None:
            waiting = [each for each in cursor.owner.group.members.values() if each.waiting]
            if waiting:
                self._wakeable[waiting[0]] = None


@fault("LIVE-KEEP-1", "POLL-WAIT-5", bindings=HTTP)
def silence_counts_from_the_beginning_of_a_wait() -> None:
    """The silence of a consumer counts from the beginning of its last wait, not from the end."""

    @wrap(QueueBroker, "wait_no_more")
    def end(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        seen = consumer.seen
        original(self, consumer)
        consumer.seen = seen


@fault("POLL-BATCH-1", bindings=HTTP)
def a_batch_after_a_wait_has_no_limit() -> None:
    """A poll that has waited returns every record there is, more than its `max_messages`."""

    @wrap(LongPolls, "park")
    def park(
        original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, limit: int, seconds: float
    ) -> None:
        original(self, waiter, consumer, limit and 10000, seconds)


@fault("POLL-WAIT-2", bindings=HTTP)
def a_second_wait_ends_the_first() -> None:
    """A consumer has one wait: a further one ends the former by an empty answer."""
    ended: list[Hashable] = []

    @wrap(LongPolls, "park")
    def park(
        original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, limit: int, seconds: float
    ) -> None:
        ended.extend(self._waiters.get(consumer, ()))
        original(self, waiter, consumer, limit, seconds)

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> list[tuple[Hashable, Outcome]]:
        answers: list[tuple[Hashable, Outcome]] = []
        while ended:
            waiter = ended.pop()
            if waiter in self._parked:
                self.cancel(waiter)
                answers.append((waiter, NOTHING))
        return [*answers, *original(self)]


@fault("POLL-WAIT-1", bindings=HTTP)
def who_is_evicted_or_leaves_polls_in_vain() -> None:
    """A wait whose consumer is no longer registered ends as an empty one."""

    @wrap(LongPolls, "_outcome")
    def outcome(original: Any, self: LongPolls, parked: Any) -> Outcome:
        found: Outcome = original(self, parked)
        return NOTHING if found.status == 404 else found

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> list[tuple[Hashable, Outcome]]:
        for consumer in list(self._waiters):
            if self._broker.consumers.get(consumer.name) is not consumer:
                consumer.is_stranded = True
        answers: list[tuple[Hashable, Outcome]] = original(self)
        return answers


@fault("POLL-WAIT-1", "POLL-FAIR-1", bindings=HTTP)
def records_of_one_instant_wake_one_wait() -> None:
    """Of the waits of a consumer one is woken by each step, however many of its partitions have a record."""

    @wrap(LongPolls, "answered")
    def answered(_original: Any, self: LongPolls) -> list[tuple[Hashable, Outcome]]:
        answers: list[tuple[Hashable, Outcome]] = []
        for consumer in self._broker.take_wakeable():
            for waiter in tuple(self._waiters.get(consumer, ()))[:1]:
                found = self._outcome(self._parked[waiter])
                if found is not NOTHING or consumer.is_stranded:
                    self.cancel(waiter)
                    answers.append((waiter, found))
            consumer.is_stranded = False
        return answers + self._expired()


@fault("POLL-WAIT-1", "POLL-WAIT-2", bindings=HTTP)
def a_wait_of_the_whole_limit_is_refused() -> None:
    """A wait of exactly the limit `wait_seconds` is refused."""

    @wrap(QueueBroker, "__init__")
    def begin(original: Any, self: QueueBroker, settings: Any, *more: Any) -> None:
        changed = msgspec.structs.replace(settings, wait_seconds=settings.wait_seconds - 1e-6)
        original(self, changed, *more)
