"""Oddities in time: evictions, rebalances and answers that are as late as they may be."""

from __future__ import annotations

import math
import random
import threading
import zlib
from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.long_polls import LongPolls
from reference_server.server.application import Application
from reference_server.server.http import HttpBinding
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, variant

if TYPE_CHECKING:
    from collections.abc import Hashable

    from reference_server.queue.outcomes import Outcome
    from reference_server.stomp.session import Session

_ANSWERED_LATE = 0.004
_REAL_TIME = (
    "--heartbeat-timeout",
    "2",
    "--eviction-grace",
    "0.5",
    "--rebalance-timeout",
    "2",
)


@variant(
    "Between timeout and grace a consumer may be evicted or not (LIVE-KEEP-1, LIVE-EVICT-1).", bindings=HTTP
)
def evictions_come_at_the_end_of_the_grace() -> None:
    """A consumer is evicted at the end of timeout and grace, and not before."""

    @wrap(QueueBroker, "__init__")
    def begin(original: Any, self: QueueBroker, settings: Any, *more: Any) -> None:
        fields = {name: getattr(settings, name) for name in settings.__struct_fields__}
        fields["heartbeat_timeout"] += settings.eviction_grace
        original(self, type(settings)(**fields), *more)


@variant("Between timeout and grace a consumer may be evicted or not (LIVE-EVICT-1).", bindings=STOMP)
def evictions_come_at_any_time_of_the_grace() -> None:
    """Evictions are spread over the grace, by the name of the consumer."""

    def spare(consumer: Consumer) -> float:
        grace = consumer.group.settings.eviction_grace
        return grace * (zlib.crc32(consumer.name.encode()) % 1000) / 1000

    @wrap(QueueBroker, "_sign_of_life")
    def sign(original: Any, self: QueueBroker, consumer: Consumer, now: float) -> None:
        original(self, consumer, now)
        consumer.seen += spare(consumer)

    @wrap(Consumer, "__init__")
    def begin(original: Any, self: Consumer, name: str, group: Group, seen: float) -> None:
        original(self, name, group, seen)
        self.seen += spare(self)


@variant(
    "A refused operation may be a sign of life or not (LIVE-SIGN-1).",
    bindings=HTTP,
)
def refused_operations_are_no_signs_of_life() -> None:
    """Only successful operations are signs of life."""
    from reference_server.queue.operations import Operations

    before: dict[Consumer, float] = {}

    @wrap(QueueBroker, "_sign_of_life")
    def sign(original: Any, self: QueueBroker, consumer: Consumer, now: float) -> None:
        before.setdefault(consumer, consumer.seen)
        original(self, consumer, now)

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, *arguments: Any, **named: Any) -> Outcome | None:
        before.clear()
        outcome: Outcome | None = original(self, *arguments, **named)
        if outcome is not None and outcome.status >= 400:
            for consumer, seen in before.items():
                consumer.seen = seen
        return outcome


def _settle_late(share: float) -> None:
    """Have partitions that move give nothing for a share of the rebalance timeout."""
    held_until: dict[Cursor, float] = {}
    queues: list[QueueBroker] = []

    @wrap(QueueBroker, "__init__")
    def begin(original: Any, self: QueueBroker, *arguments: Any) -> None:
        original(self, *arguments)
        queues.append(self)

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        owners = [cursor.owner for cursor in self.cursors[topic]]
        original(self, topic, now)
        for cursor, owner in zip(self.cursors[topic], owners, strict=True):
            if cursor.owner is not owner:
                held_until[cursor] = now + share * self.settings.rebalance_timeout

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        until = held_until.get(self, -math.inf)
        is_held = self.owner is not None and queues[0].now + self.owner.group.clock_offset < until
        return not is_held and bool(original(self))

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        silent: list[Consumer] = original(self, now)
        for cursor in self.all_cursors():
            if held_until.get(cursor, math.inf) <= now:
                del held_until[cursor]
                self.wakeable = True
        return silent

    @wrap(Group, "next_deadline")
    def next_deadline(original: Any, self: Group) -> float:
        due = min((held_until.get(cursor, math.inf) for cursor in self.all_cursors()), default=math.inf)
        return min(float(original(self)), due - self.clock_offset)


@variant(
    "A rebalance may take until its timeout; until then polls may come up empty (REBALANCE-1).", bindings=HTTP
)
def rebalances_are_settled_late() -> None:
    """Moved partitions give nothing for nine tenths of the rebalance timeout."""
    _settle_late(0.9)


@variant("A rebalance may take a while (REBALANCE-1).", bindings=STOMP)
def rebalances_take_a_moment() -> None:
    """Moved partitions give nothing for a tenth of the rebalance timeout."""
    _settle_late(0.1)


def _jitter(chance: random.Random) -> None:
    threading.Event().wait(chance.random() * _ANSWERED_LATE)


@variant("How long an answer takes is not said.", bindings=HTTP)
def answers_over_http_take_their_time() -> None:
    """Every answer is up to 4 ms late, and some are much later."""
    chance = random.Random(7)

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, *arguments: Any) -> Any:
        response = original(self, *arguments)
        _jitter(chance)
        if chance.random() < 0.01:
            threading.Event().wait(0.2)
        return response


@variant("How long an answer takes is not said.", bindings=STOMP)
def frames_are_obeyed_late() -> None:
    """Input of a client is processed up to 4 ms later."""
    chance = random.Random(9)

    @wrap(Application, "handle")
    def handle(original: Any, self: Application, session: Session, items: list[Any]) -> None:
        _jitter(chance)
        original(self, session, items)


@variant("Receipts, acknowledgements and replies come in any order (publishing).", bindings=STOMP)
def producers_are_told_late() -> None:
    """Acknowledgements of records are sent some milliseconds after receipts and replies."""
    applications: list[Application] = []

    @wrap(Application, "__init__")
    def begin(original: Any, self: Application, *arguments: Any) -> None:
        original(self, *arguments)
        applications.append(self)

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, told: Any) -> None:
        def later() -> None:
            with applications[0]._turn():
                original(self, told)

        if self._acknowledgements:
            order.append(later)
            threading.Timer(0.003, lambda: order.pop(0)()).start()

    order: list[Any] = []


@variant("A poll that waits may be answered a tenth early (POLL-WAIT-2).", bindings=HTTP)
def polls_wait_a_little_less() -> None:
    """A long poll without a record is answered after 95 hundredths of its time."""

    @wrap(LongPolls, "park")
    def park(
        original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, limit: int, seconds: float
    ) -> None:
        original(self, waiter, consumer, limit, 0.95 * seconds)


@variant("A clock of the queue is an extension.", bindings=HTTP, flags=_REAL_TIME)
def time_is_real_over_http() -> None:
    """The server has no virtual clock, and timeouts are two seconds."""


@variant("A clock of the queue is an extension.", bindings=STOMP, flags=_REAL_TIME)
def time_is_real_over_stomp() -> None:
    """The server has no virtual clock, and timeouts are two seconds."""
