"""Evictions too early and too late, and who is served though it is gone: LIVE, MEMBER."""

from collections.abc import Iterator

from conformance.history.consumer_lifetimes import ConsumerLifetime
from conformance.history.events import Acknowledge, ConsumerEvent, Event, Heartbeat, Poll, Register
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly


def _judged_lifetimes(index: HistoryIndex) -> Iterator[ConsumerLifetime]:
    for lifetimes in index.lifetimes.of_name.values():
        for lifetime in lifetimes:
            if lifetime.unambiguous:
                yield lifetime


def evicted_early(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer is refused as unknown though its last sign of life was less than the timeout ago."""
    timeout = index.parameters.heartbeat_timeout
    for lifetime in _judged_lifetimes(index):
        for refusal in lifetime.refusals[:1]:
            if any(end.invoked < refusal.completed for end in lifetime.unregistrations):
                continue
            signs_of_life = [sign for sign in lifetime.signs_of_life if sign.before(refusal)]
            last = max(signs_of_life, key=lambda sign: sign.group_time_began)
            silence = refusal.group_time_ended - last.group_time_began
            if silence < timeout:
                yield Anomaly(
                    "evicted early",
                    "LIVE-KEEP-1",
                    f"{lifetime.name} was silent for {silence:.3f} s at most, below {timeout:g} s, and is refused",
                    (last, refusal),
                )


def evicted_late(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer is served though it was silent for the timeout and the grace."""
    limit = index.parameters.eviction_limit
    for lifetime in _judged_lifetimes(index):
        for event in lifetime.events:
            silence = index.lifetimes.shortest_silence(lifetime, event) if event.succeeded else 0.0
            if silence > limit and not _already_proved_gone(index, lifetime, event):
                signs_of_life = [sign for sign in lifetime.signs_of_life if sign.before(event)]
                last = max(
                    signs_of_life, key=lambda sign: sign.group_time_ended, default=lifetime.registration
                )
                yield Anomaly(
                    "evicted late",
                    "LIVE-EVICT-1",
                    f"{lifetime.name} was silent for {silence:.3f} s at least, above {limit:g} s, and is served",
                    (last, event),
                )


def _already_proved_gone(index: HistoryIndex, lifetime: ConsumerLifetime, event: Event) -> bool:
    """Whether a reply had shown that the consumer was gone, so that it is a matter of `served_after_eviction`."""
    return any(
        proof.before(event)
        for proof in [*lifetime.refusals, *(end for end in lifetime.unregistrations if end.succeeded)]
    )


def _served_when_gone(index: HistoryIndex) -> Iterator[tuple[ConsumerLifetime, ConsumerEvent, ConsumerEvent]]:
    """Events that were served after a reply that shows the end of the life."""
    for lifetime in _judged_lifetimes(index):
        for event in lifetime.events:
            proof = next((refusal for refusal in lifetime.refusals if refusal.before(event)), None)
            if event.succeeded and proof is not None:
                yield lifetime, proof, event


def delivery_to_an_evicted_consumer(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer that was refused as unknown, and has not registered since, gets a record."""
    for lifetime, proof, event in index.cached(_served_when_gone):
        if isinstance(event, Poll) and event.records:
            yield Anomaly(
                "delivery to an evicted consumer", "LIVE-GONE-1", f"{lifetime.name} was gone", (proof, event)
            )


def served_after_eviction(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer that was refused as unknown, and has not registered since, is served."""
    for lifetime, proof, event in index.cached(_served_when_gone):
        if isinstance(event, Acknowledge) or not (isinstance(event, Poll) and event.records):
            clause = "LIVE-GONE-3" if isinstance(event, Acknowledge) else "LIVE-GONE-1"
            yield Anomaly("served after eviction", clause, f"{lifetime.name} was gone", (proof, event))


def served_after_leaving(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer that has left is served."""
    for lifetime in _judged_lifetimes(index):
        for event in lifetime.events:
            end = next((end for end in lifetime.unregistrations if end.succeeded and end.before(event)), None)
            if event.succeeded and end is not None:
                yield Anomaly(
                    "served after leaving", "MEMBER-UNREGISTER-1", f"{lifetime.name} had left", (end, event)
                )


def stranger_served(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer that was never registered is served."""
    for event in index.of_type(ConsumerEvent):
        if not event.succeeded or isinstance(event, Register):
            continue
        lifetimes = index.lifetimes.of_name.get(event.consumer, ())
        if not any(lifetime.registration.invoked < event.completed for lifetime in lifetimes):
            clause = "MEMBER-SUBSCRIBE-2"
            if isinstance(event, Poll):
                clause = "POLL-UNKNOWN-1"
            elif isinstance(event, Acknowledge):
                clause = "ACK-CONSUMER-1"
            elif isinstance(event, Heartbeat):
                clause = "LIVE-BEAT-2"
            yield Anomaly("stranger served", clause, f"nobody registered {event.consumer}", (event,))


def name_taken_twice(index: HistoryIndex) -> Iterator[Anomaly]:
    """A name is registered while another consumer has it for certain."""
    timeout = index.parameters.heartbeat_timeout
    for lifetime in _judged_lifetimes(index):
        successor = lifetime.successor
        if successor is None or not successor.registration.succeeded or lifetime.refusals:
            continue
        again = successor.registration
        if any(end.invoked < again.completed for end in lifetime.unregistrations):
            continue
        signs_of_life = [
            sign
            for sign in lifetime.signs_of_life
            if sign.before(again) and again.group_time_ended < sign.group_time_began + timeout
        ]
        if signs_of_life:
            yield Anomaly(
                "name taken twice",
                "MEMBER-REGISTER-4",
                f"{lifetime.name} was registered",
                (signs_of_life[-1], again),
            )
