"""Faults in evictions, and in the treatment of evicted consumers."""

from __future__ import annotations

from typing import Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import NOTHING, Outcome
from reference_server.queue.refusal import Refusal
from tests.mutants.editing import as_object, change_settings
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault


@fault("LIVE-KEEP-1", bindings=HTTP, hard=True)
def consumers_are_evicted_a_little_early() -> None:
    """A consumer is evicted a twentieth of a second before the timeout."""
    change_settings(heartbeat_timeout=lambda seconds: seconds - 0.05)


@fault("LIVE-EVICT-1", bindings=HTTP, hard=True)
def nobody_is_evicted() -> None:
    """A silent consumer is never evicted."""
    change_settings(heartbeat_timeout=lambda _seconds: 1e9)


@fault("LIVE-EVICT-1", bindings=STOMP, hard=True)
def consumers_are_evicted_a_little_late() -> None:
    """A consumer is evicted a twentieth of a second after timeout and grace."""

    @wrap(QueueBroker, "__init__")
    def begin(original: Any, self: QueueBroker, settings: Any, *more: Any) -> None:
        late = settings.heartbeat_timeout + settings.eviction_grace + 0.05
        original(self, type(settings)(**{**_fields(settings), "heartbeat_timeout": late}), *more)


def _fields(settings: Any) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


@fault("LIVE-EVICT-1", bindings=HTTP)
def who_owns_nothing_is_not_evicted() -> None:
    """A consumer without a subscription is never evicted."""
    _spare(lambda member: not member.topics)


@fault("LIVE-EVICT-1", bindings=STOMP)
def who_holds_a_record_is_not_evicted() -> None:
    """A consumer with a record in flight is never evicted."""
    _spare(lambda member: bool(member.held))


def _spare(holds: Any) -> None:
    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        spared = {name: member for name, member in self.members.items() if holds(member)}
        for member in spared.values():
            member.waiting += 1
        silent: list[Consumer] = original(self, now)
        for member in spared.values():
            member.waiting -= 1
        return silent


@fault("LIVE-GONE-1", bindings=HTTP)
def a_heartbeat_brings_an_evicted_consumer_back() -> None:
    """The heartbeat of an evicted consumer registers it again in its group."""
    evicted: dict[str, str] = {}

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        silent: list[Consumer] = original(self, now)
        evicted.update((consumer.name, self.name) for consumer in silent)
        return silent

    @wrap(Operations, "_heartbeat")
    def beat(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        self.broker.tick(now)
        group = evicted.pop(request.consumer_name, None)
        if group in self.broker.groups and request.consumer_name not in self.broker.consumers:
            self.broker.register(group, request.consumer_name, now=now)
        outcome: Outcome = original(self, request, now)
        return outcome


@fault("LIVE-GONE-1", bindings=STOMP)
def an_evicted_consumer_polls_nothing() -> None:
    """A poll of an evicted consumer answers 204."""
    evicted: set[str] = set()

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        silent: list[Consumer] = original(self, now)
        evicted.update(consumer.name for consumer in silent)
        return silent

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, path, body, **named)
        if path == "/consumer/poll" and outcome is not None and outcome.status == 404:
            name = (as_object(body) or {}).get("consumer_name")
            return NOTHING if name in evicted else outcome
        return outcome


@fault("LIVE-GONE-2", bindings=HTTP)
def an_evicted_consumer_is_gone() -> None:
    """Operations of a consumer that is no longer registered are refused by 410."""
    known: set[str] = set()

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, **named: Any) -> Any:
        registered = original(self, group, name, **named)
        known.add(name)
        return registered

    @wrap(QueueBroker, "consumer")
    def consumer(original: Any, self: QueueBroker, name: str, **named: Any) -> Consumer:
        try:
            found: Consumer = original(self, name, **named)
        except Refusal as refusal:
            if name in known:
                refusal.status = 410
            raise
        return found


@fault("LIVE-GONE-3", bindings=HTTP, hard=True)
def an_evicted_consumer_commits() -> None:
    """The late acknowledgement of an evicted consumer is refused, but commits the record if it is free."""
    lost: dict[tuple[str, int], tuple[Cursor, int]] = {}

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        held = {name: list(member.held.items()) for name, member in self.members.items()}
        silent: list[Consumer] = original(self, now)
        for consumer in silent:
            for number, cursor in held[consumer.name]:
                lost[(consumer.name, number)] = cursor, cursor.committed
        return silent

    @wrap(Operations, "_acknowledge")
    def acknowledge(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        try:
            outcome: Outcome = original(self, request, now)
        except Refusal:
            cursor, offset = lost.get((request.consumer_name, request.message_id), (None, -1))
            if cursor is not None and cursor.committed == offset and cursor.in_flight is None:
                cursor.committed += 1
            raise
        return outcome


@fault("LIVE-GONE-3", bindings=STOMP, hard=True)
def who_returns_may_acknowledge_what_it_held() -> None:
    """A consumer that registers again after its eviction may acknowledge the records that it held before."""
    lost: dict[str, dict[int, tuple[Cursor, int]]] = {}

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        held = {
            name: {number: (cursor, cursor.committed) for number, cursor in member.held.items()}
            for name, member in self.members.items()
        }
        silent: list[Consumer] = original(self, now)
        lost.update((consumer.name, held[consumer.name]) for consumer in silent)
        return silent

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor, offset = lost.get(consumer.name, {}).get(number, (None, -1))
        if number not in consumer.held and cursor is not None and cursor.committed == offset:
            if cursor.in_flight is not None:
                cursor.settle(commit=commit)
            else:
                cursor.committed += commit
        else:
            original(self, consumer, number, commit=commit)


@fault("LIVE-GONE-4", bindings=HTTP)
def names_of_the_evicted_stay_taken() -> None:
    """The name of an evicted consumer can't be registered again."""
    evicted: set[str] = set()

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        silent: list[Consumer] = original(self, now)
        evicted.update(consumer.name for consumer in silent)
        return silent

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, *, now: float) -> Any:
        self.tick(now)
        if name in evicted:
            raise Refusal("consumer-exists", f"there is a consumer {name}", "consumer_name")
        return original(self, group, name, now=now)


@fault("LIVE-GONE-4", bindings=STOMP)
def who_registers_again_is_subscribed_as_before() -> None:
    """A consumer that registers under the name of an evicted one inherits its subscriptions."""
    topics: dict[tuple[str, str], list[str]] = {}

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        subscribed = {name: sorted(member.topics) for name, member in self.members.items()}
        silent: list[Consumer] = original(self, now)
        topics.update(((self.name, each.name), subscribed[each.name]) for each in silent)
        return silent

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, **named: Any) -> Any:
        consumer = original(self, group, name, **named)
        self.subscribe(consumer, topics.pop((group, name), []))
        return consumer
