"""Records that were handed out while an earlier one of their partition cannot have been acknowledged.

Before a record is handed out, the group has acknowledged all that lie before it (ORDER-2). So for each delivery and
each record before it there must be an acknowledgement that began before the poll ended, whoever won the race. Where
there is none, what happened to the record that was left behind says what went wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.history.deliveries import Delivery, Settlement
from conformance.history.events import NEVER, Acknowledge, Event, GiveBack
from conformance.history.index import Reading
from conformance.history.records import Record
from conformance.history.server_parameters import Anomaly


@dataclass(frozen=True)
class Overtaking:
    """`delivery` came though `skipped`, which lies before it, was not acknowledged.

    `earlier`: the deliveries of the skipped record that may have been before it, in their order.
    """

    name: str
    clause: str
    delivery: Delivery
    skipped: Record
    earlier: tuple[Delivery, ...]
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


def overtakings(reading: Reading) -> Iterator[Overtaking]:
    """All of them, each with the name of what went wrong."""
    deliveries, records = reading.deliveries, reading.records
    for delivery in deliveries.all:
        if delivery.life is None:
            continue
        for skipped in records.before(delivery.record):
            if skipped.stored_by < NEVER and not deliveries.perhaps_committed(
                delivery.group, skipped, delivery.poll
            ):
                yield _named(reading, delivery, skipped)


def _named(reading: Reading, delivery: Delivery, skipped: Record) -> Overtaking:
    all_of_it = reading.deliveries.in_group(delivery.group, skipped)
    earlier = tuple(d for d in all_of_it if d.poll.invoked < delivery.poll.completed)
    proof: tuple[Event, ...] = ()
    if not all_of_it:
        name, clause = "lost", "DELIVER-1"
    elif not earlier:
        same_key = skipped.key is not None and skipped.key == delivery.record.key
        name, clause = ("key order broken" if same_key else "poll-skip"), "ORDER-1"
    elif reading.deliveries.in_flight_through(earlier[-1], delivery.poll):
        moved = earlier[-1].consumer != delivery.consumer
        name, clause = (
            ("moved under its holder", "REBALANCE-2") if moved else ("more than one in flight", "ORDER-2")
        )
    else:
        name, clause, proof = _of_the_freed(reading, delivery, earlier)
    return Overtaking(name, clause, delivery, skipped, earlier, proof)


def _of_the_freed(
    reading: Reading, delivery: Delivery, earlier: tuple[Delivery, ...]
) -> tuple[str, str, tuple[Event, ...]]:
    """The record had been handed out and was not settled, or may not have been, when the later one came."""
    said = [
        settlement
        for held in earlier
        for settlement in reading.deliveries.settlements_of(held)
        if settlement.event.invoked < delivery.poll.completed
    ]
    for settlement in said:
        if isinstance(settlement.event, Acknowledge) and settlement.event.refused:
            if _came_from_the_dead(reading, settlement):
                return "committed by a zombie", "LIVE-GONE-3", (settlement.event,)
            return "committed though refused", "REFUSE-1", (settlement.event,)
    for settlement in said:
        if isinstance(settlement.event, GiveBack) and settlement.event.succeeded:
            return "given back and skipped", "NACK-AGAIN-1", (settlement.event,)
    if reading.deliveries.given_up(earlier[-1], delivery.poll):
        return "not delivered again", "DELIVER-2", ()
    return "more than one in flight", "ORDER-2", ()


def _came_from_the_dead(reading: Reading, settlement: Settlement) -> bool:
    """Whether it was refused because its consumer was gone."""
    life, event = settlement.life, settlement.event
    return life is not None and (
        event.status == 404 or reading.lives.certainly_gone(life, event) or any(life.farewells)
    )


def named(reading: Reading, name: str) -> Iterator[Anomaly]:
    """The anomalies of one name."""
    return (found.anomaly() for found in reading.once(overtakings) if found.name == name)
