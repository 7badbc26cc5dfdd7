"""Skipped records: deliveries before an earlier record of the partition was acknowledged, classified by cause.

A server hands out a record only after the group has acknowledged all earlier records of its partition (ORDER-2).

Anomaly: a record d was delivered in a group, a stored record s lies before d in its partition, and no acknowledgement
of s in the group that may have committed s began before the poll of d ended.

No false alarm: a conforming server committed s before it handed out d, so an acknowledgement of s began before the
poll of d ended. That acknowledgement is in the history, matched with a delivery that its consumer saw: after a poll
without a reply a client program does not settle records under that name.

Only the nearest predecessors of d are looked at, without loss. Take s before p before d, with p nearest to d. If p has
no such acknowledgement, d with p is reported. If it has, its consumer acknowledged p after a poll that returned p and
that ended before the poll of d did; no acknowledgement of s began before that poll ended either, so p is a delivery
that skipped s, and is reported by induction.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.history.deliveries import RecordDelivery, RecordSettlement
from conformance.history.events import NEVER, Event
from conformance.history.index import HistoryIndex
from conformance.history.records import HistoryRecord
from conformance.history.server_parameters import Anomaly


@dataclass(frozen=True)
class SkippedRecord:
    """A delivery although `skipped`, which lies before its record, was not acknowledged.

    `earlier` is the latest delivery of the skipped record that may have preceded it, if there is one.
    `proof` are further events that show the cause.
    """

    name: str
    clause: str
    delivery: RecordDelivery
    skipped: HistoryRecord
    earlier: tuple[RecordDelivery, ...]
    proof: tuple[Event, ...] = ()

    def anomaly(self) -> Anomaly:
        """The anomaly to report."""
        events = [d.poll for d in self.earlier[-1:]] + [*self.proof, self.delivery.poll]
        if self.skipped.publish is not None:
            events.insert(0, self.skipped.publish)
        return Anomaly(
            self.name,
            self.clause,
            f"{self.delivery.consumer} got {self.delivery.record} in group {self.delivery.group}, which cannot have "
            f"acknowledged {self.skipped} before",
            tuple(dict.fromkeys(events)),
        )


def skipped_records(index: HistoryIndex) -> Iterator[SkippedRecord]:
    """All skipped records of a history, each with the name of its cause."""
    deliveries, records = index.deliveries, index.records
    for delivery in deliveries.all:
        if delivery.lifetime is None:
            continue
        for skipped in records.predecessors(delivery.record):
            if skipped.stored_by < NEVER and not deliveries.may_be_committed(
                delivery.group, skipped, delivery.poll
            ):
                yield _classified(index, delivery, skipped)


def anomalies_named(index: HistoryIndex, name: str) -> Iterator[Anomaly]:
    """The anomalies of one name."""
    return (found.anomaly() for found in index.cached(skipped_records) if found.name == name)


def _classified(index: HistoryIndex, delivery: RecordDelivery, skipped: HistoryRecord) -> SkippedRecord:
    of_skipped = index.deliveries.in_group(delivery.group, skipped)
    end = bisect_left(of_skipped, delivery.poll.completed, key=lambda one: one.poll.invoked)
    earlier = tuple(of_skipped[max(0, end - 1) : end])
    proof: tuple[Event, ...] = ()
    if not of_skipped:
        late = index.deliveries.may_have_started_behind(delivery.group, skipped)
        name, clause = ("started late" if late else "lost"), "DELIVER-1"
    elif not earlier:
        same_key = skipped.key is not None and skipped.key == delivery.record.key
        name, clause = ("key order broken" if same_key else "poll-skip"), "ORDER-1"
    elif index.deliveries.in_flight_throughout(earlier[-1], delivery.poll):
        moved = earlier[-1].consumer != delivery.consumer
        name, clause = (
            ("moved under its holder", "REBALANCE-2") if moved else ("more than one in flight", "ORDER-2")
        )
    else:
        name, clause, proof = _classified_after_release(index, delivery, skipped, earlier[-1])
    return SkippedRecord(name, clause, delivery, skipped, earlier, proof)


def _classified_after_release(
    index: HistoryIndex, delivery: RecordDelivery, skipped: HistoryRecord, latest: RecordDelivery
) -> tuple[str, str, tuple[Event, ...]]:
    """Name, clause and proof for a skipped record that was delivered before and may have been released.

    A refused acknowledgement is no cause if the record came again after it: it had no effect then. A record that was
    given back and came again before the delivery was not skipped by that: only a return of its latest delivery counts.
    """
    deliveries, end = index.deliveries, delivery.poll.completed
    last = deliveries.in_group(delivery.group, skipped)[-1].poll.invoked
    refused = deliveries.refused(delivery.group, skipped, end)
    if refused is not None and last < refused.event.completed:
        if _may_be_gone(index, refused):
            return "committed by a zombie", "LIVE-GONE-3", (refused.event,)
        return "committed though refused", "REFUSE-1", (refused.event,)
    given_back = deliveries.use_of(latest).first_return_event(latest.poll)
    if given_back is not None and given_back.invoked < end:
        return "given back and skipped", "NACK-AGAIN-1", (given_back,)
    if deliveries.must_be_released(latest, delivery.poll):
        return "not delivered again", "DELIVER-2", ()
    return "more than one in flight", "ORDER-2", ()


def _may_be_gone(index: HistoryIndex, settlement: RecordSettlement) -> bool:
    """True if the settlement was probably refused because its consumer was not registered any more."""
    lifetime, event = settlement.lifetime, settlement.event
    return lifetime is not None and (
        event.status == 404 or index.lifetimes.must_be_gone(lifetime, event) or any(lifetime.refusals)
    )
