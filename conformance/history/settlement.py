"""Checkers of acknowledgements that were wrongly accepted or refused: ACK, REBALANCE-2."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from conformance.history.deliveries import RecordDelivery, RecordSettlement
from conformance.history.events import NEVER, Acknowledge, Event, Poll
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly

#: Deliveries of one record or under one id that are looked at for one acknowledgement.
MOST_HOLDERS = 16


def _judged_acknowledgements(index: HistoryIndex) -> Iterator[RecordSettlement]:
    """Accepted acknowledgements by consumers whose earlier polls all had replies: their deliveries are known.

    The lifetime must be unambiguous, so that no delivery of an earlier one counts.
    """
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
    """The one delivery that the settlement is about, if its poll had completed before; else None."""
    if len(settlement.candidates) == 1 and settlement.candidates[0].poll.before(settlement.event):
        return settlement.candidates[0]
    return None


def accepted_from_a_non_owner(index: HistoryIndex) -> Iterator[Anomaly]:
    """The acknowledgement of a record that another consumer had got last was accepted (ACK-OTHER-1).

    Anomaly: the consumer never got the id, and another consumer's delivery with the id was in flight throughout the
    acknowledgement; or it got the record before, and another consumer of the group got it after that and before the
    acknowledgement was invoked.

    No false alarm: all polls of the consumer had replies, so it was not given the record again; a delivery in
    another group is another one's record in flight and doesn't count.
    """
    for settlement in index.cached(_judged_acknowledgements):
        event = settlement.event
        delivery = _held_by_another(index, settlement)
        if delivery is not None:
            yield Anomaly(
                "accepted from a non-owner",
                "ACK-OTHER-1",
                f"{event.consumer} acknowledged {delivery.record}, which {delivery.consumer} had got",
                (delivery.poll, event),
            )


def _held_by_another(index: HistoryIndex, settlement: RecordSettlement) -> RecordDelivery | None:
    """A delivery to another consumer for which an accepted acknowledgement is an anomaly; None if there is none."""
    event, deliveries = settlement.event, index.deliveries
    if not settlement.candidates:
        return _in_flight_elsewhere(index, settlement)
    held = _delivery_before(settlement)
    if held is None:
        return None
    later = deliveries.in_group(held.group, held.record)
    start = bisect_right(later, held.poll.completed, key=lambda one: one.poll.invoked)
    for delivery in later[start : start + MOST_HOLDERS]:
        if (
            delivery.polled.message_id == event.message_id
            and delivery.consumer != event.consumer
            and delivery.poll.before(event)
        ):
            return delivery
    return None


def _in_flight_elsewhere(index: HistoryIndex, settlement: RecordSettlement) -> RecordDelivery | None:
    """A delivery to another consumer under the id that was in flight throughout the acknowledgement.

    The latest ones are looked at: an id is in flight with few consumers at once.
    """
    event = settlement.event
    of_id = index.deliveries.of_id.get(event.message_id, [])
    end = bisect_left(of_id, event.invoked, key=lambda one: one.poll.invoked)
    for delivery in of_id[max(0, end - MOST_HOLDERS) : end]:
        if delivery.consumer != event.consumer and index.deliveries.in_flight_throughout(delivery, event):
            return delivery
    return None


def accepted_for_nothing(index: HistoryIndex) -> Iterator[Anomaly]:
    """The acknowledgement of an id that the consumer never got was accepted (ACK-UNKNOWN-1).

    Anomaly: no delivery to the consumer that began before the acknowledgement ended has the id, and no other
    consumer's delivery with it was in flight throughout; that would be `accepted_from_a_non_owner`.

    No false alarm: all polls of the consumer had replies, so nothing was in flight with it under the id.
    """
    for settlement in index.cached(_judged_acknowledgements):
        event = settlement.event
        if settlement.candidates:
            continue
        if _in_flight_elsewhere(index, settlement) is None:
            yield Anomaly(
                "accepted for nothing",
                "ACK-UNKNOWN-1",
                f"{event.consumer} never got anything under the id {event.message_id}",
                (event,),
            )


def accepted_twice(index: HistoryIndex) -> Iterator[Anomaly]:
    """Two acknowledgements of one delivery were accepted (ACK-UNKNOWN-1).

    Anomaly: the consumer got the record once under the id, and two acknowledgements succeeded after that, one after
    the other.

    No false alarm: the first of the two settled the delivery, and no poll that may have returned the record again
    began before the second ended.
    """
    for settlement in index.cached(_judged_acknowledgements):
        held = _delivery_before(settlement)
        if held is None:
            continue
        first = index.deliveries.use_of(held).first_acknowledgement(held.poll)
        if first is not None and first.before(settlement.event):
            yield Anomaly(
                "accepted twice",
                "ACK-UNKNOWN-1",
                f"{first.consumer} acknowledged {held.record} twice, and got it once",
                (held.poll, first, settlement.event),
            )


def accepted_late(index: HistoryIndex) -> Iterator[Anomaly]:
    """The acknowledgement of a record that the consumer no longer held was accepted (ACK-UNKNOWN-1).

    Anomaly: the consumer had given the record back, or unsubscribed from its topic, before it acknowledged, and got
    it no more.

    No false alarm: both succeeded before the acknowledgement was invoked; an eviction doesn't count here.
    """
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
    """True if the record was released before the event, other than by an eviction."""
    lifetime = held.lifetime
    if lifetime is None or index.lifetimes.must_be_gone(lifetime, event):
        return False
    return index.deliveries.must_be_released(held, event)


def holder_refused(index: HistoryIndex) -> Iterator[Anomaly]:
    """The acknowledgement of a record in flight with the consumer was refused (ACK-OK-1, REBALANCE-2).

    Anomaly: the delivery was in flight throughout the acknowledgement, and that has a status of class 4xx or 507.

    No false alarm: nothing may have released the record before the acknowledgement ended: no other settlement under
    the id, no unsubscription, no eviction, no rebalance that had lasted for rebalance_timeout.
    """
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
