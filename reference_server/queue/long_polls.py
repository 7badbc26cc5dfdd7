"""Polls, and those among them that wait for a record (extension long-poll)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reference_server.queue.outcomes import NOTHING, Outcome, batch, one_record, refused
from reference_server.queue.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Hashable

    from reference_server.queue.broker import QueueBroker
    from reference_server.queue.group import Consumer


class _Waiting(NamedTuple):
    consumer: Consumer
    limit: int
    seconds: float


class LongPolls:
    """The polls that wait, by their waiter; those of one consumer in the order in which they came."""

    def __init__(self, broker: QueueBroker) -> None:
        self._broker = broker
        self._waiting: dict[Hashable, _Waiting] = {}
        self._waiters: dict[Consumer, list[Hashable]] = {}

    def hand_out(self, consumer: Consumer, limit: int) -> Outcome:
        """Hand out a record, or up to `limit` of them in a batch where it is not 0 (POLL-OK-1, POLL-BATCH-1)."""
        delivery = self._broker.poll(consumer)
        if delivery is None:
            return NOTHING
        if not limit:
            return one_record(delivery)
        deliveries = [delivery]
        while len(deliveries) < limit and (delivery := self._broker.poll(consumer)) is not None:
            deliveries.append(delivery)
        return batch(deliveries)

    def park(self, waiter: Hashable, consumer: Consumer, limit: int, seconds: float) -> None:
        """Let a poll wait; the consumer is alive until it is answered (POLL-WAIT-5)."""
        self._waiting[waiter] = _Waiting(consumer, limit, seconds)
        self._waiters.setdefault(consumer, []).append(waiter)
        self._broker.wait(consumer)

    def wait_of(self, waiter: Hashable) -> float:
        """The seconds that the poll of `waiter` may wait."""
        return self._waiting[waiter].seconds

    def answered(self) -> list[tuple[Hashable, Outcome]]:
        """End the polls that now have a record, or whose consumer is gone (POLL-WAIT-1)."""
        if not self._waiting:
            return []
        answers: list[tuple[Hashable, Outcome]] = []
        for consumer in self._broker.take_stirred():
            for waiter in tuple(self._waiters.get(consumer, ())):
                outcome = self._outcome(self._waiting[waiter])
                if outcome is NOTHING:
                    break
                self._end(waiter)
                answers.append((waiter, outcome))
        return answers

    def cancel(self, waiter: Hashable) -> Outcome | None:
        """End the poll of `waiter` with nothing (POLL-WAIT-2); None: it does not wait."""
        if waiter not in self._waiting:
            return None
        self._end(waiter)
        return NOTHING

    def _outcome(self, poll: _Waiting) -> Outcome:
        consumer = poll.consumer
        if self._broker.consumers.get(consumer.name) is not consumer:
            return refused(
                Refusal(
                    "consumer-unknown", f"consumer {consumer.name!r} is no longer registered", "consumer_name"
                )
            )
        return self.hand_out(consumer, poll.limit)

    def _end(self, waiter: Hashable) -> None:
        consumer = self._waiting.pop(waiter).consumer
        waiters = self._waiters[consumer]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[consumer]
        self._broker.wait_no_more(consumer)
