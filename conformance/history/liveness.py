"""Evictions too early and too late, and who is served though it is gone: LIVE, MEMBER."""

from collections.abc import Iterator

from conformance.history.consumer_lifetimes import Life
from conformance.history.events import Acknowledge, ConsumerEvent, Event, Heartbeat, Poll, Register
from conformance.history.index import Reading
from conformance.history.server_parameters import Anomaly


def _clear_lives(reading: Reading) -> Iterator[Life]:
    for lives in reading.lives.of_name.values():
        for life in lives:
            if life.clear:
                yield life


def evicted_early(reading: Reading) -> Iterator[Anomaly]:
    """A consumer is refused as unknown though its last sign of life was less than the timeout ago."""
    timeout = reading.facts.heartbeat_timeout
    for life in _clear_lives(reading):
        for farewell in life.farewells[:1]:
            if any(end.invoked < farewell.completed for end in life.ends):
                continue
            signs = [sign for sign in life.signs if sign.before(farewell)]
            last = max(signs, key=lambda sign: sign.group_time_began)
            if farewell.group_time_ended < last.group_time_began + timeout:
                yield Anomaly(
                    "evicted early",
                    "LIVE-KEEP-1",
                    f"{life.name} was silent for {farewell.group_time_ended - last.group_time_began:.3f} s at most, below {timeout:g} s, "
                    "and is refused as unknown",
                    (last, farewell),
                )


def evicted_late(reading: Reading) -> Iterator[Anomaly]:
    """A consumer is served though it was silent for the timeout and the grace."""
    for life in _clear_lives(reading):
        for event in life.events:
            silence = reading.lives.silent_for(life, event) if event.succeeded else 0.0
            if silence > reading.facts.silence and not _was_gone(reading, life, event):
                signs = [sign for sign in life.signs if sign.before(event)]
                last = max(signs, key=lambda sign: sign.group_time_ended, default=life.register)
                yield Anomaly(
                    "evicted late",
                    "LIVE-EVICT-1",
                    f"{life.name} was silent for {silence:.3f} s at least, above {reading.facts.silence:g} s, "
                    "and is served",
                    (last, event),
                )


def _was_gone(reading: Reading, life: Life, event: Event) -> bool:
    """Whether a reply had shown that the consumer was gone, so that it is a matter of `served_after_eviction`."""
    return any(
        proof.before(event) for proof in [*life.farewells, *(end for end in life.ends if end.succeeded)]
    )


def _served_when_gone(reading: Reading) -> Iterator[tuple[Life, ConsumerEvent, ConsumerEvent]]:
    """Events that were served after a reply that shows the end of the life."""
    for life in _clear_lives(reading):
        for event in life.events:
            proof = next((farewell for farewell in life.farewells if farewell.before(event)), None)
            if event.succeeded and proof is not None:
                yield life, proof, event


def delivery_to_an_evicted_consumer(reading: Reading) -> Iterator[Anomaly]:
    """A consumer that was refused as unknown, and has not registered since, gets a record."""
    for life, proof, event in reading.once(_served_when_gone):
        if isinstance(event, Poll) and event.records:
            yield Anomaly(
                "delivery to an evicted consumer", "LIVE-GONE-1", f"{life.name} was gone", (proof, event)
            )


def served_after_eviction(reading: Reading) -> Iterator[Anomaly]:
    """A consumer that was refused as unknown, and has not registered since, is served."""
    for life, proof, event in reading.once(_served_when_gone):
        if isinstance(event, Acknowledge) or not (isinstance(event, Poll) and event.records):
            clause = "LIVE-GONE-3" if isinstance(event, Acknowledge) else "LIVE-GONE-1"
            yield Anomaly("served after eviction", clause, f"{life.name} was gone", (proof, event))


def served_after_leaving(reading: Reading) -> Iterator[Anomaly]:
    """A consumer that has left is served."""
    for life in _clear_lives(reading):
        for event in life.events:
            end = next((end for end in life.ends if end.succeeded and end.before(event)), None)
            if event.succeeded and end is not None:
                yield Anomaly(
                    "served after leaving", "MEMBER-UNREGISTER-1", f"{life.name} had left", (end, event)
                )


def stranger_served(reading: Reading) -> Iterator[Anomaly]:
    """A consumer that was never registered is served."""
    for event in reading.of_kind(ConsumerEvent):
        if not event.succeeded or isinstance(event, Register):
            continue
        lives = reading.lives.of_name.get(event.consumer, ())
        if not any(life.register.invoked < event.completed for life in lives):
            clause = "MEMBER-SUBSCRIBE-2"
            if isinstance(event, Poll):
                clause = "POLL-UNKNOWN-1"
            elif isinstance(event, Acknowledge):
                clause = "ACK-CONSUMER-1"
            elif isinstance(event, Heartbeat):
                clause = "LIVE-BEAT-2"
            yield Anomaly("stranger served", clause, f"nobody registered {event.consumer}", (event,))


def name_taken_twice(reading: Reading) -> Iterator[Anomaly]:
    """A name is registered while another consumer has it for certain."""
    timeout = reading.facts.heartbeat_timeout
    for life in _clear_lives(reading):
        successor = life.successor
        if successor is None or not successor.register.succeeded or life.farewells:
            continue
        again = successor.register
        if any(end.invoked < again.completed for end in life.ends):
            continue
        signs = [
            sign
            for sign in life.signs
            if sign.before(again) and again.group_time_ended < sign.group_time_began + timeout
        ]
        if signs:
            yield Anomaly(
                "name taken twice", "MEMBER-REGISTER-4", f"{life.name} was registered", (signs[-1], again)
            )
