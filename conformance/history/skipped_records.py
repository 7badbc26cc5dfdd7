"""Records that were handed out while an earlier one of their partition cannot have been acknowledged.

Before a record is handed out, the group has acknowledged all that lie before it (ORDER-2). So for each delivery and
each record before it there must be an acknowledgement that began before the poll ended, whoever won the race. Where
there is none, what happened to the record that was left behind says what went wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.history.deliveries import RecordDelivery, RecordSettlement
from conformance.history.events import NEVER, Acknowledge, Event, GiveBack
from conformance.history.index import HistoryIndex
from conformance.history.records import HistoryRecord
from conformance.history.server_parameters import Anomaly


@dataclass(frozen=True)
class SkippedRecord:
    """`delivery` came though `skipped`, which lies before it, was not acknowledged.

    `earlier`: the deliveries of the skipped record that may have been before it, in their order.
    """

    name: str
    clause: str
    delivery: RecordDelivery
    skipped: HistoryRecord
    earlier: tuple[RecordDelivery, ...]
    proof: tuple[Event, ...] = ()

    def anomaly(self) -> Anomaly:
        """What the checkers report."""
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
    """All of them, each with the name of what went wrong."""
    deliveries, records = index.deliveries, index.records
    for delivery in deliveries.all:
        if delivery.lifetime is None:
            continue
        for skipped in records.predecessors(delivery.record):
            if skipped.stored_by < NEVER and not deliveries.may_be_committed(
                delivery.group, skipped, delivery.poll
            ):
                yield _classified(index, delivery, skipped)


def _classified(index: HistoryIndex, delivery: RecordDelivery, skipped: HistoryRecord) -> SkippedRecord:
    all_of_it = index.deliveries.in_group(delivery.group, skipped)
    earlier = tuple(d for d in all_of_it if d.poll.invoked < delivery.poll.completed)
    proof: tuple[Event, ...] = ()
    if not all_of_it:
        name, clause = "lost", "DELIVER-1"
    elif not earlier:
        same_key = skipped.key is not None and skipped.key == delivery.record.key
        name, clause = ("key order broken" if same_key else "poll-skip"), "ORDER-1"
    elif index.deliveries.in_flight_throughout(earlier[-1], delivery.poll):
        moved = earlier[-1].consumer != delivery.consumer
        name, clause = (
            ("moved under its holder", "REBALANCE-2") if moved else ("more than one in flight", "ORDER-2")
        )
    else:
        name, clause, proof = _classified_after_release(index, delivery, earlier)
    return SkippedRecord(name, clause, delivery, skipped, earlier, proof)


def _classified_after_release(
    index: HistoryIndex, delivery: RecordDelivery, earlier: tuple[RecordDelivery, ...]
) -> tuple[str, str, tuple[Event, ...]]:
    """The record had been handed out and was not settled, or may not have been, when the later one came."""
    said = [
        settlement
        for held in earlier
        for settlement in index.deliveries.settlements_of(held)
        if settlement.event.invoked < delivery.poll.completed
    ]
    for settlement in said:
        if isinstance(settlement.event, Acknowledge) and settlement.event.refused:
            if _was_unregistered(index, settlement):
                return "committed by a zombie", "LIVE-GONE-3", (settlement.event,)
            return "committed though refused", "REFUSE-1", (settlement.event,)
    for settlement in said:
        if isinstance(settlement.event, GiveBack) and settlement.event.succeeded:
            return "given back and skipped", "NACK-AGAIN-1", (settlement.event,)
    if index.deliveries.must_be_released(earlier[-1], delivery.poll):
        return "not delivered again", "DELIVER-2", ()
    return "more than one in flight", "ORDER-2", ()


def _was_unregistered(index: HistoryIndex, settlement: RecordSettlement) -> bool:
    """Whether it was refused because its consumer was gone."""
    lifetime, event = settlement.lifetime, settlement.event
    return lifetime is not None and (
        event.status == 404 or index.lifetimes.must_be_gone(lifetime, event) or any(lifetime.refusals)
    )


def anomalies_named(index: HistoryIndex, name: str) -> Iterator[Anomaly]:
    """The anomalies of one name."""
    return (found.anomaly() for found in index.cached(skipped_records) if found.name == name)
