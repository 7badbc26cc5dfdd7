"""Acknowledgements that are accepted or refused wrongly: ACK."""

from collections.abc import Iterator

from conformance.history.deliveries import RecordDelivery, RecordSettlement
from conformance.history.events import NEVER, Acknowledge, Event, Poll
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly


def _judged_acknowledgements(index: HistoryIndex) -> Iterator[RecordSettlement]:
    """Accepted acknowledgements of consumers whose polls were all answered: it is known what they got."""
    unanswered: dict[str, float] = {}
    for poll in index.of_type(Poll):
        if poll.status is None:
            unanswered.setdefault(poll.consumer, poll.invoked)
    for settlement in index.deliveries.settlements:
        event, lifetime = settlement.event, settlement.lifetime
        if (
            not isinstance(event, Acknowledge)
            or not event.succeeded
            or lifetime is None
            or not lifetime.unambiguous
        ):
            continue
        if unanswered.get(event.consumer, NEVER) >= event.completed:
            yield settlement


def _delivery_before(settlement: RecordSettlement) -> RecordDelivery | None:
    """What the consumer had got under the id when it acknowledged, unless it was getting it at that time."""
    if len(settlement.candidates) == 1 and settlement.candidates[0].poll.before(settlement.event):
        return settlement.candidates[0]
    return None


def accepted_from_a_non_owner(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer acknowledges what another one holds, and that is accepted."""
    for settlement in index.cached(_judged_acknowledgements):
        event = settlement.event
        for delivery in index.deliveries.of_id.get(event.message_id, ()):
            if delivery.consumer == event.consumer:
                continue
            held = _delivery_before(settlement)
            if settlement.candidates and (
                held is None
                or held.record is not delivery.record
                or held.group != delivery.group
                or not held.poll.before(delivery.poll)
                or not delivery.poll.before(event)
            ):
                continue
            if settlement.candidates or index.deliveries.in_flight_throughout(delivery, event):
                yield Anomaly(
                    "accepted from a non-owner",
                    "ACK-OTHER-1",
                    f"{event.consumer} acknowledged {delivery.record}, which {delivery.consumer} had got",
                    (delivery.poll, event),
                )


def accepted_for_nothing(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer acknowledges an id that nobody got, or not this consumer, and that is accepted."""
    for settlement in index.cached(_judged_acknowledgements):
        event = settlement.event
        if settlement.candidates:
            continue
        if not any(
            index.deliveries.in_flight_throughout(delivery, event)
            for delivery in index.deliveries.of_id.get(event.message_id, ())
        ):
            yield Anomaly(
                "accepted for nothing",
                "ACK-UNKNOWN-1",
                f"{event.consumer} never got anything under the id {event.message_id}",
                (event,),
            )


def accepted_twice(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer acknowledges twice what it got once, and both are accepted."""
    for settlement in index.cached(_judged_acknowledgements):
        held = _delivery_before(settlement)
        if held is None:
            continue
        for other in index.deliveries.settlements_of(held):
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


def accepted_late(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer acknowledges what it had given back, or lost with a topic, and that is accepted."""
    for settlement in index.cached(_judged_acknowledgements):
        held, event = _delivery_before(settlement), settlement.event
        if (
            held is None
            or settlement.lifetime is not held.lifetime
            or not _no_longer_held(index, held, event)
        ):
            continue
        yield Anomaly(
            "accepted late",
            "ACK-UNKNOWN-1",
            f"{event.consumer} acknowledged {held.record}, which it no longer held",
            (held.poll, event),
        )


def _no_longer_held(index: HistoryIndex, held: RecordDelivery, event: Event) -> bool:
    lifetime = held.lifetime
    if lifetime is None or index.lifetimes.must_be_gone(lifetime, event):
        return False
    return index.deliveries.must_be_released(held, event)


def holder_refused(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer acknowledges what it holds for certain, and is refused."""
    for settlement in index.deliveries.settlements:
        event, held = settlement.event, _delivery_before(settlement)
        if not isinstance(event, Acknowledge) or not event.refused or held is None:
            continue
        if index.deliveries.in_flight_throughout(held, event):
            no_rebalance_between = index.rebalances.no_rebalance_between(held.group, held.poll, event)
            yield Anomaly(
                "holder refused",
                "ACK-OK-1" if no_rebalance_between else "REBALANCE-2",
                f"{event.consumer} holds {held.record} and is refused",
                (held.poll, event),
            )
