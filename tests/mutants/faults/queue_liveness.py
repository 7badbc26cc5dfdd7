"""Faults in signs of life, which keep a consumer from being evicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import ACCEPTED, NOTHING, Outcome
from reference_server.stomp.queue_binding import QueueBinding
from reference_server.stomp.session import Session
from tests.mutants.editing import answer_by, as_object, refuse_by
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.group import Consumer
    from reference_server.stomp.frame import Frame


def _forget_signs(method: str, *, only_empty: bool = False) -> None:
    """Have a row of the table of operations be no sign of life; `only_empty`: only if the reply is empty."""
    before: dict[str, float] = {}

    @wrap(QueueBroker, "_sign_of_life")
    def sign(original: Any, self: QueueBroker, consumer: Consumer, now: float) -> None:
        before[consumer.name] = consumer.seen
        original(self, consumer, now)

    @wrap(Operations, method)
    def perform(original: Any, self: Operations, *arguments: Any) -> Outcome | None:
        before.clear()
        outcome: Outcome | None = original(self, *arguments)
        if not only_empty or outcome is NOTHING:
            for name, seen in before.items():
                if name in self.broker.consumers:
                    self.broker.consumers[name].seen = seen
        return outcome


@fault("LIVE-BEAT-1", bindings=HTTP)
def a_heartbeat_is_answered_done() -> None:
    """A heartbeat is answered 200."""
    answer_by("_heartbeat", 200)


@fault("LIVE-BEAT-1", bindings=STOMP)
def heartbeats_keep_nobody_alive() -> None:
    """A heartbeat is no sign of life."""
    _forget_signs("_heartbeat")


@fault("LIVE-BEAT-1", "LIVE-KEEP-1", bindings=HTTP, hard=True)
def heartbeats_count_for_the_first_member() -> None:
    """A heartbeat is a sign of life of the oldest member of the consumer's group."""
    _forget_signs("_heartbeat")

    @wrap(Operations, "_heartbeat")
    def beat(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now)
        group = self.broker.consumers[request.consumer_name].group
        first = next(iter(group.members.values()))
        first.seen = now + group.clock_offset
        return outcome


@fault("LIVE-EVICT-1", bindings=STOMP, hard=True)
def a_heartbeat_counts_for_the_whole_group() -> None:
    """A heartbeat is a sign of life of all members of the consumer's group."""

    @wrap(Operations, "_heartbeat")
    def beat(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now)
        group = self.broker.consumers[request.consumer_name].group
        for member in group.members.values():
            member.seen = now + group.clock_offset
        return outcome


@fault("LIVE-BEAT-2", bindings=HTTP)
def nobodys_heart_may_beat() -> None:
    """The heartbeat of a consumer that was never registered is answered 202."""
    registered: set[str] = set()

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, **named: Any) -> Any:
        registered.add(name)
        return original(self, group, name, **named)

    @wrap(Operations, "_heartbeat")
    def beat(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        outcome: Outcome = original(self, request, now) if request.consumer_name in registered else ACCEPTED
        return outcome


@fault("LIVE-BEAT-3", bindings=HTTP)
def the_heartbeat_of_nobody_is_a_bad_request() -> None:
    """The heartbeat of a consumer that is not registered is refused by 400."""
    refuse_by(Operations, "_heartbeat", "consumer-unknown", 400)


@fault("LIVE-SIGN-1", bindings=HTTP)
def polls_are_no_signs_of_life() -> None:
    """Polls do not keep a consumer from being evicted."""
    _forget_signs("_poll")


@fault("LIVE-SIGN-1", bindings=STOMP)
def empty_polls_are_no_signs_of_life() -> None:
    """Empty polls do not keep a consumer from being evicted."""
    _forget_signs("_poll", only_empty=True)


@fault("LIVE-SIGN-1", bindings=HTTP)
def acknowledgements_are_no_signs_of_life() -> None:
    """Acknowledgements do not keep a consumer from being evicted."""
    _forget_signs("_acknowledge")


@fault("LIVE-SIGN-1", bindings=STOMP)
def subscriptions_are_no_signs_of_life() -> None:
    """Subscribing does not keep a consumer from being evicted."""
    _forget_signs("_subscribe")


def _remember_sessions() -> dict[Session, set[str]]:
    """Names of the consumers that each session has named in operations."""
    named: dict[Session, set[str]] = {}

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, session: Session, frame: Frame) -> bool:
        name = (as_object(frame.body) or {}).get("consumer_name")
        if isinstance(name, str):
            named.setdefault(session, set()).add(name)
        done: bool = original(self, session, frame)
        return done

    return named


@fault("LIVE-SIGN-2", bindings=STOMP)
def a_session_speaks_for_its_consumers() -> None:
    """Any input of a session, even a heart-beat, is a sign of life of all consumers that the session has named."""
    named = _remember_sessions()

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        broker = self.hub.router.binding._operations.broker
        for name in named.get(self, ()):
            if name in broker.consumers:
                broker._sign_of_life(broker.consumers[name], queue_now)
        original(self, items, now, queue_now)


@fault("LIVE-KEEP-1", bindings=STOMP)
def consumers_end_with_their_connection() -> None:
    """The end of a session evicts the consumers that it registered."""
    named = _remember_sessions()

    @wrap(Session, "_end")
    def end(original: Any, self: Session) -> None:
        original(self)
        broker = self.hub.router.binding._operations.broker
        for name in named.pop(self, ()):
            if name in broker.consumers:
                broker.unregister(broker.consumers[name])
