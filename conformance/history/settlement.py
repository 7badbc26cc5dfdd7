"""Acknowledgements that are accepted or refused wrongly: ACK."""

from collections.abc import Iterator

from conformance.history.deliveries import Delivery, Settlement
from conformance.history.events import NEVER, Acknowledge, Event, Poll
from conformance.history.index import Reading
from conformance.history.server_parameters import Anomaly


def _accepted(reading: Reading) -> Iterator[Settlement]:
    """Accepted acknowledgements of consumers whose polls were all answered: it is known what they got."""
    unanswered: dict[str, float] = {}
    for poll in reading.of_kind(Poll):
        if poll.status is None:
            unanswered.setdefault(poll.consumer, poll.invoked)
    for settlement in reading.deliveries.settlements:
        event, life = settlement.event, settlement.life
        if not isinstance(event, Acknowledge) or not event.succeeded or life is None or not life.clear:
            continue
        if unanswered.get(event.consumer, NEVER) >= event.completed:
            yield settlement


def _held_before(settlement: Settlement) -> Delivery | None:
    """What the consumer had got under the id when it acknowledged, unless it was getting it at that time."""
    if len(settlement.about) == 1 and settlement.about[0].poll.before(settlement.event):
        return settlement.about[0]
    return None


def accepted_from_a_non_owner(reading: Reading) -> Iterator[Anomaly]:
    """A consumer acknowledges what another one holds, and that is accepted."""
    for settlement in reading.once(_accepted):
        event = settlement.event
        for delivery in reading.deliveries.of_id.get(event.message_id, ()):
            if delivery.consumer == event.consumer:
                continue
            held = _held_before(settlement)
            if settlement.about and (
                held is None
                or held.record is not delivery.record
                or held.group != delivery.group
                or not held.poll.before(delivery.poll)
                or not delivery.poll.before(event)
            ):
                continue
            if settlement.about or reading.deliveries.in_flight_through(delivery, event):
                yield Anomaly(
                    "accepted from a non-owner",
                    "ACK-OTHER-1",
                    f"{event.consumer} acknowledged {delivery.record}, which {delivery.consumer} had got",
                    (delivery.poll, event),
                )


def accepted_for_nothing(reading: Reading) -> Iterator[Anomaly]:
    """A consumer acknowledges an id that nobody got, or not this consumer, and that is accepted."""
    for settlement in reading.once(_accepted):
        event = settlement.event
        if settlement.about:
            continue
        if not any(
            reading.deliveries.in_flight_through(delivery, event)
            for delivery in reading.deliveries.of_id.get(event.message_id, ())
        ):
            yield Anomaly(
                "accepted for nothing",
                "ACK-UNKNOWN-1",
                f"{event.consumer} never got anything under the id {event.message_id}",
                (event,),
            )


def accepted_twice(reading: Reading) -> Iterator[Anomaly]:
    """A consumer acknowledges twice what it got once, and both are accepted."""
    for settlement in reading.once(_accepted):
        held = _held_before(settlement)
        if held is None:
            continue
        for other in reading.deliveries.settlements_of(held):
            first = other.event
            if (
                isinstance(first, Acknowledge)
                and first.succeeded
                and held.poll.before(first)
                and first.before(settlement.event)
            ):
                yield Anomaly(
                    "accepted twice",
                    "ACK-UNKNOWN-1",
                    f"{first.consumer} acknowledged {held.record} twice, and got it once",
                    (held.poll, first, settlement.event),
                )


def accepted_late(reading: Reading) -> Iterator[Anomaly]:
    """A consumer acknowledges what it had given back, or lost with a topic, and that is accepted."""
    for settlement in reading.once(_accepted):
        held, event = _held_before(settlement), settlement.event
        if held is None or settlement.life is not held.life or not _let_go(reading, held, event):
            continue
        yield Anomaly(
            "accepted late",
            "ACK-UNKNOWN-1",
            f"{event.consumer} acknowledged {held.record}, which it no longer held",
            (held.poll, event),
        )


def _let_go(reading: Reading, held: Delivery, event: Event) -> bool:
    life = held.life
    if life is None or reading.lives.certainly_gone(life, event):
        return False
    return reading.deliveries.given_up(held, event)


def holder_refused(reading: Reading) -> Iterator[Anomaly]:
    """A consumer acknowledges what it holds for certain, and is refused."""
    for settlement in reading.deliveries.settlements:
        event, held = settlement.event, _held_before(settlement)
        if not isinstance(event, Acknowledge) or not event.refused or held is None:
            continue
        if reading.deliveries.in_flight_through(held, event):
            quiet = reading.rebalances.quiet(held.group, held.poll, event)
            yield Anomaly(
                "holder refused",
                "ACK-OK-1" if quiet else "REBALANCE-2",
                f"{event.consumer} holds {held.record} and is refused",
                (held.poll, event),
            )
