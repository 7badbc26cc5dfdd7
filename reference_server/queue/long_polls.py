"""Polls, and long polls that wait for a record (extension long-poll)."""

from collections.abc import Callable, Hashable
from typing import NamedTuple

from reference_server.deadlines import Deadlines
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer
from reference_server.queue.outcomes import NOTHING, Outcome, batch, one_record, refused
from reference_server.queue.refusal import Refusal


class _Parked(NamedTuple):
    consumer: Consumer
    limit: int


class LongPolls:
    """The long polls that wait, by their waiter; those of one consumer in order of arrival."""

    def __init__(self, broker: QueueBroker, wall: Callable[[], float]) -> None:
        """`wall` is the clock of long polls, in seconds: any monotonic one (POLL-WAIT-2)."""
        self._broker = broker
        self._wall = wall
        self._parked: dict[Hashable, _Parked] = {}
        self._waiters: dict[Consumer, list[Hashable]] = {}
        self.deadlines: Deadlines[Hashable] = Deadlines()
        """Wall time at which the poll of each waiter ends."""

    def hand_out(self, consumer: Consumer, limit: int) -> Outcome:
        """Hand out a record (POLL-OK-1), or up to `limit` of them as a batch if that is not 0 (POLL-BATCH-1)."""
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
        """Let a poll wait for that time; its consumer is alive meanwhile (POLL-WAIT-5)."""
        self._parked[waiter] = _Parked(consumer, limit)
        self._waiters.setdefault(consumer, []).append(waiter)
        self.deadlines.set(waiter, self._wall() + seconds)
        self._broker.wait(consumer)

    def answered(self) -> list[tuple[Hashable, Outcome]]:
        """End the polls that have a record, whose consumer (POLL-WAIT-1) or last topic is gone, or whose time is over.

        Call it after every operation, `tick` of the broker and deadline.
        """
        if not self._parked:
            return []
        answers: list[tuple[Hashable, Outcome]] = []
        for consumer in self._broker.take_wakeable():
            for waiter in tuple(self._waiters.get(consumer, ())):
                outcome = self._outcome(self._parked[waiter])
                if outcome is NOTHING and not consumer.is_stranded:
                    break
                self.cancel(waiter)
                answers.append((waiter, outcome))
            consumer.is_stranded = False
        answers += self._expired()
        return answers

    def cancel(self, waiter: Hashable) -> None:
        """End the poll of `waiter`, if it waits, without an answer."""
        parked = self._parked.pop(waiter, None)
        if parked is None:
            return
        self.deadlines.remove(waiter)
        waiters = self._waiters[parked.consumer]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[parked.consumer]
        self._broker.wait_no_more(parked.consumer)

    def _expired(self) -> list[tuple[Hashable, Outcome]]:
        """End the polls whose time is over with the outcome of an empty poll (POLL-WAIT-2)."""
        waiters = self.deadlines.take_due(self._wall())
        for waiter in waiters:
            self.cancel(waiter)
        return [(waiter, NOTHING) for waiter in waiters]

    def _outcome(self, parked: _Parked) -> Outcome:
        consumer = parked.consumer
        if self._broker.consumers.get(consumer.name) is consumer:
            return self.hand_out(consumer, parked.limit)
        detail = f"consumer {consumer.name!r} is no longer registered"
        return refused(Refusal("consumer-unknown", detail, "consumer_name"))
