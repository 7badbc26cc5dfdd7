"""Checkers of evictions and registrations: LIVE, MEMBER-REGISTER-4, MEMBER-UNREGISTER-1.

Only unambiguous lifetimes are judged: no event of an earlier lifetime of the name can reach into them.
"""

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
    """A consumer was refused as not registered less than heartbeat_timeout after a sign of life (LIVE-KEEP-1).

    Anomaly: from the start of its latest successful operation to the end of the first refused heartbeat or poll,
    less than heartbeat_timeout passed on the group's clock, and no unregistration may have been carried out.

    No false alarm: the time is measured from the earliest instant of the sign to the latest of the refusal.
    """
    timeout = index.parameters.heartbeat_timeout
    for lifetime in _judged_lifetimes(index):
        for refusal in lifetime.refusals[:1]:
            if any(end.invoked < refusal.completed for end in lifetime.unregistrations):
                continue
            signs_of_life = [sign for sign in lifetime.signs_of_life if sign.before(refusal)]
            last = max(signs_of_life, key=lambda sign: sign.group_time_began)
            # Compared as a sum, like the server's deadline: a difference may be rounded below the timeout.
            if refusal.group_time_ended < last.group_time_began + timeout:
                silence = refusal.group_time_ended - last.group_time_began
                yield Anomaly(
                    "evicted early",
                    "LIVE-KEEP-1",
                    f"{lifetime.name} was silent for {silence:.3f} s at most, below {timeout:g} s, and is refused",
                    (last, refusal),
                )


def evicted_late(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer was served after a silence of heartbeat_timeout and eviction_grace (LIVE-EVICT-1).

    Anomaly: an operation succeeded that was invoked more than eviction_limit after the latest end of any other
    operation of the consumer that began before this one ended.

    No false alarm: each of these operations counts as a sign of life, at the latest possible instant, even if it was
    refused or had no reply.
    """
    limit = index.parameters.eviction_limit
    for lifetime in _judged_lifetimes(index):
        for event in lifetime.events:
            silence = index.lifetimes.shortest_silence(lifetime, event) if event.succeeded else 0.0
            if silence > limit and not _already_proved_gone(lifetime, event):
                last = lifetime.signs_by_end.item_below(event.invoked) or lifetime.registration
                yield Anomaly(
                    "evicted late",
                    "LIVE-EVICT-1",
                    f"{lifetime.name} was silent for {silence:.3f} s at least, above {limit:g} s, and is served",
                    (last, event),
                )


def _already_proved_gone(lifetime: ConsumerLifetime, event: Event) -> bool:
    """True if a reply had proved the end of the lifetime before; `served_after_…` report that."""
    proofs = (lifetime.first_refusal, lifetime.first_end)
    return any(proof is not None and proof.before(event) for proof in proofs)


def _served_when_gone(index: HistoryIndex) -> Iterator[tuple[ConsumerLifetime, ConsumerEvent, ConsumerEvent]]:
    """Successful events of a lifetime after a refused heartbeat or poll, which proves that it had ended.

    No false alarm: the refusal completed before the event was invoked, and any registration in between, even one
    without a reply, would have begun another lifetime.
    """
    for lifetime in _judged_lifetimes(index):
        for event in lifetime.events:
            proof = lifetime.first_refusal
            if event.succeeded and proof is not None and proof.before(event):
                yield lifetime, proof, event


def delivery_to_an_evicted_consumer(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer got a record after it was refused as not registered (LIVE-GONE-1).

    Anomaly: a poll returned a record, and a heartbeat or poll of the same lifetime was refused before.

    No false alarm: see `_served_when_gone`.
    """
    for lifetime, proof, event in index.cached(_served_when_gone):
        if isinstance(event, Poll) and event.records:
            yield Anomaly(
                "delivery to an evicted consumer", "LIVE-GONE-1", f"{lifetime.name} was gone", (proof, event)
            )


def served_after_eviction(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer was served, other than by a record, after it was refused as not registered (LIVE-GONE-1, LIVE-GONE-3).

    Anomaly: an operation succeeded, and a heartbeat or poll of the same lifetime was refused before.

    No false alarm: see `_served_when_gone`.
    """
    for lifetime, proof, event in index.cached(_served_when_gone):
        if isinstance(event, Acknowledge) or not (isinstance(event, Poll) and event.records):
            clause = "LIVE-GONE-3" if isinstance(event, Acknowledge) else "LIVE-GONE-1"
            yield Anomaly("served after eviction", clause, f"{lifetime.name} was gone", (proof, event))


def served_after_leaving(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer was served after it had left (MEMBER-UNREGISTER-1).

    Anomaly: an operation succeeded, and an unregistration of the same lifetime succeeded before.

    No false alarm: a registration in between, even one without a reply, would have begun another lifetime.
    """
    for lifetime in _judged_lifetimes(index):
        for event in lifetime.events:
            end = lifetime.first_end
            if event.succeeded and end is not None and end.before(event):
                yield Anomaly(
                    "served after leaving", "MEMBER-UNREGISTER-1", f"{lifetime.name} had left", (end, event)
                )


def stranger_served(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer that was never registered was served.

    The clause is POLL-UNKNOWN-1, ACK-CONSUMER-1, LIVE-BEAT-2 or MEMBER-SUBSCRIBE-2, by the operation.

    Anomaly: an operation succeeded, and no registration of the name that was not refused began before it ended.

    No false alarm: names are new, and all their registrations are in the history, also those without a reply.
    """
    for event in index.of_type(ConsumerEvent):
        if not event.succeeded or isinstance(event, Register):
            continue
        lifetimes = index.lifetimes.of_name.get(event.consumer, ())
        # The lifetimes of a name are in the order of their registrations.
        if not lifetimes or lifetimes[0].registration.invoked >= event.completed:
            clause = "MEMBER-SUBSCRIBE-2"
            if isinstance(event, Poll):
                clause = "POLL-UNKNOWN-1"
            elif isinstance(event, Acknowledge):
                clause = "ACK-CONSUMER-1"
            elif isinstance(event, Heartbeat):
                clause = "LIVE-BEAT-2"
            yield Anomaly("stranger served", clause, f"{event.consumer} was never registered", (event,))


def name_taken_twice(index: HistoryIndex) -> Iterator[Anomaly]:
    """A name was registered while its holder was registered (MEMBER-REGISTER-4).

    Anomaly: a registration succeeded that ended less than heartbeat_timeout after a sign of life of the holder, which
    was not refused, and no unregistration of which may have been carried out before.

    No false alarm: the holder was registered at every instant of the registration (LIVE-KEEP-1).
    """
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
