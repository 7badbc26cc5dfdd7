"""Checkers of repeated deliveries: DELIVER-3, ACK-COMMIT-1, DELIVER-4, POLL-REDELIVERED-1, POLL-OK-2."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from conformance.history.deliveries import RecordDelivery
from conformance.history.events import Acknowledge, Poll
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly

if TYPE_CHECKING:
    from conformance.history.records import HistoryRecord


def duplicate(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record was delivered twice to a group while it was in flight (DELIVER-3).

    Anomaly: two deliveries of one record in one group, neither after an acknowledgement that must have committed it,
    such that in neither order the first may have been released, uncommitted, before the poll of the second ended.

    No false alarm: a conforming server hands one of the two out first. It hands out the other only after the first
    was released, since a committed record is not handed out again (ACK-COMMIT-1), and before that poll ended.

    All pairs are compared. Neighbours are not enough: a long poll that overlaps three others may precede each of
    the first two, which were given back, and still share the record with the third.
    """
    for (group, record), of_record in index.deliveries.of_record.items():
        if not group:
            continue
        # Deliveries after the commit belong to `redelivery_after_acknowledgement`.
        uncommitted = [
            delivery
            for delivery in of_record
            if not index.deliveries.commit_before(group, record, delivery.poll)
        ]
        for one, other in combinations(uncommitted, 2):
            if not _may_precede(index, one, other) and not _may_precede(index, other, one):
                yield Anomaly(
                    "duplicate",
                    "DELIVER-3",
                    f"{record} was delivered to {one.consumer} and to {other.consumer} of {group} while in flight",
                    (one.poll, other.poll),
                )


def _may_precede(index: HistoryIndex, first: RecordDelivery, second: RecordDelivery) -> bool:
    if first.poll is second.poll or second.poll.before(first.poll):
        return False
    return index.deliveries.may_be_redeliverable(first, second.poll)


def redelivery_after_acknowledgement(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record was delivered again in a group that had acknowledged it (ACK-COMMIT-1).

    Anomaly: an acknowledgement of the record succeeded before the poll of the delivery was invoked, and can settle
    no other record. If the next record was acknowledged as well, it is `commit_went_back`.

    No false alarm: the acknowledgement and the poll do not overlap, so the commit preceded the delivery.
    """
    for delivery, commit, later in index.cached(_redeliveries):
        if later is None:
            yield Anomaly(
                "redelivery after acknowledgement",
                "ACK-COMMIT-1",
                f"{delivery.consumer} got {delivery.record}, which {commit.consumer} of {delivery.group} "
                "had acknowledged",
                (commit, delivery.poll),
            )


def commit_went_back(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record was delivered again in a group that had acknowledged it and the next one (ACK-COMMIT-1).

    Anomaly: as for `redelivery_after_acknowledgement`, and an acknowledgement of the record with the next higher
    offset in the partition succeeded before the poll, too.

    No false alarm: as there.
    """
    for delivery, commit, later in index.cached(_redeliveries):
        if later is not None:
            yield Anomaly(
                "commit went back",
                "ACK-COMMIT-1",
                f"{delivery.consumer} got {delivery.record}, though {delivery.group} had acknowledged it and "
                "the next one",
                (commit, later, delivery.poll),
            )


def _redeliveries(
    index: HistoryIndex,
) -> Iterator[tuple[RecordDelivery, Acknowledge, Acknowledge | None]]:
    """Deliveries after an acknowledgement, with it, and with one of the next record that came before, too."""
    for delivery in index.deliveries.all:
        if delivery.lifetime is None:
            continue
        commit = index.deliveries.commit_before(delivery.group, delivery.record, delivery.poll)
        if commit is not None:
            successor = index.records.successor(delivery.record)
            later = None
            if successor is not None:
                later = index.deliveries.commit_before(delivery.group, successor, delivery.poll)
            yield delivery, commit, later


def stored_twice(index: HistoryIndex) -> Iterator[Anomaly]:
    """One publish was delivered from two positions (DELIVER-4).

    Anomaly: deliveries of one text give two pairs of partition and offset.

    No false alarm: each text is published once, and a record has one position for ever.
    """
    seen: dict[HistoryRecord, dict[tuple[int, int], Poll]] = defaultdict(dict)
    for delivery in index.deliveries.all:
        polled = delivery.polled
        if polled.partition is not None and polled.offset is not None:
            seen[delivery.record].setdefault((polled.partition, polled.offset), delivery.poll)
    for record, positions in seen.items():
        if len(positions) > 1:
            yield Anomaly(
                "stored twice",
                "DELIVER-4",
                f"{record} was published once and delivered from {' and '.join(map(str, positions))}",
                tuple(positions.values()),
            )


def mismarked_redelivery(index: HistoryIndex) -> Iterator[Anomaly]:
    """The member `redelivered` of a delivery is wrong (POLL-REDELIVERED-1).

    Anomaly: it is true, and no other poll of the group that began before this one ended may have taken the record;
    or it is false, and another delivery of the record in the group completed before this poll was invoked.

    No false alarm: overlapping deliveries count for true, not for false; polls without a reply count for true.
    """
    for delivery in index.deliveries.all:
        redelivered, poll = delivery.polled.redelivered, delivery.poll
        if redelivered is None or delivery.lifetime is None:
            continue
        others = [
            other
            for other in index.deliveries.in_group(delivery.group, delivery.record)
            if other is not delivery
        ]
        earlier = [other.poll for other in others if other.poll.before(poll)]
        possible = [other for other in others if other.poll.invoked < poll.completed]
        if redelivered and not possible and not _unanswered_before(index, delivery.group, poll):
            yield _mismarked(delivery, "was never delivered before", (poll,))
        elif not redelivered and earlier:
            yield _mismarked(delivery, "was delivered before", (earlier[0], poll))


def _mismarked(delivery: RecordDelivery, fact: str, events: tuple[Poll, ...]) -> Anomaly:
    message = (
        f"redelivered is {delivery.polled.redelivered}, but {delivery.record} {fact} in {delivery.group}"
    )
    return Anomaly("mismarked redelivery", "POLL-REDELIVERED-1", message, events)


def _unanswered_before(index: HistoryIndex, group: str, interval: Poll) -> bool:
    """True if a poll of the group without a reply may precede the end of the interval."""
    return any(poll.invoked < interval.completed for _, poll in index.unanswered_polls.get(group, ()))


def id_in_use(index: HistoryIndex) -> Iterator[Anomaly]:
    """Two records were in flight under one message id (POLL-OK-2).

    Anomaly: deliveries of two records have one message id, and one of them was in flight throughout the poll that
    returned the other.

    No false alarm: no settlement, departure, eviction or rebalance may have released the first before that poll
    ended.
    """
    for message_id, deliveries in index.deliveries.of_id.items():
        for one, other in combinations(deliveries, 2):
            if one.record is other.record:
                continue
            for first, second in ((one, other), (other, one)):
                if index.deliveries.in_flight_throughout(first, second.poll):
                    yield Anomaly(
                        "id in use",
                        "POLL-OK-2",
                        f"{second.record} has the id {message_id}, under which {first.record} was in flight",
                        (first.poll, second.poll),
                    )
