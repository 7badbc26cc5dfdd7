"""Checkers of repeated deliveries: DELIVER-3, ACK-COMMIT-1, DELIVER-4, POLL-REDELIVERED-1, POLL-OK-2."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from conformance.history.deliveries import RecordDelivery
from conformance.history.events import Acknowledge, Poll
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly

if TYPE_CHECKING:
    from conformance.history.records import HistoryRecord

#: Deliveries that ended last before another one and are compared with it, and those that overlap it.
NEIGHBOURS, MOST_OVERLAPPING = 6, 32


def duplicate(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record was delivered twice to a group while it was in flight (DELIVER-3).

    Anomaly: two deliveries of one record in one group, neither after an acknowledgement that must have committed it,
    such that in neither order the first may have been released, uncommitted, before the poll of the second ended.

    No false alarm: a conforming server hands one of the two out first. It hands out the other only after the first
    was released, since a committed record is not handed out again (ACK-COMMIT-1), and before that poll ended.

    Each delivery is compared with those whose polls overlap its own, at most `MOST_OVERLAPPING` of them, and with the
    `NEIGHBOURS` that ended last before it. That is enough for deliveries that don't overlap: one that can't have been
    released before a later one can't have been released before those between them. Neighbours alone are not enough: a
    long poll that overlaps three others may precede each of the first two, which were given back, and still share the
    record with the third.
    """
    for (group, record), of_record in index.deliveries.of_record.items():
        if not group or len(of_record) == 1:
            continue
        # Deliveries after the commit belong to `redelivery_after_acknowledgement`.
        committed = index.deliveries.first_commit(group, record)
        uncommitted = [delivery for delivery in of_record if committed >= delivery.poll.invoked]
        for one, other in _near_pairs(uncommitted):
            if not _may_precede(index, one, other) and not _may_precede(index, other, one):
                yield Anomaly(
                    "duplicate",
                    "DELIVER-3",
                    f"{record} was delivered to {one.consumer} and to {other.consumer} of {group} while in flight",
                    (one.poll, other.poll),
                )


def _near_pairs(deliveries: list[RecordDelivery]) -> Iterator[tuple[RecordDelivery, RecordDelivery]]:
    """Pairs of deliveries, in the order of their invocations, that overlap or are neighbours."""
    open_polls: list[tuple[float, int, RecordDelivery]] = []
    ended: deque[RecordDelivery] = deque(maxlen=NEIGHBOURS)
    for number, delivery in enumerate(deliveries):
        while open_polls and open_polls[0][0] < delivery.poll.invoked:
            ended.append(heapq.heappop(open_polls)[2])
        for other in ended:
            yield other, delivery
        for _, _, other in open_polls[-MOST_OVERLAPPING:]:
            yield other, delivery
        heapq.heappush(open_polls, (delivery.poll.completed, number, delivery))


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
        # Replies gave the record one position only, or several: those of the deliveries are to be told apart.
        if delivery.record.position is None and polled.partition is not None and polled.offset is not None:
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
        of_record = index.deliveries.in_group(delivery.group, delivery.record)
        if redelivered:
            # The first two in the order of invocations: one of them is another delivery.
            possible = any(one is not delivery and one.poll.invoked < poll.completed for one in of_record[:2])
            if not possible and not _unanswered_before(index, delivery.group, poll):
                yield _mismarked(delivery, "was never delivered before", (poll,))
        else:
            first = index.cached(_first_ended)[0][delivery.group, delivery.record]
            if first.poll.before(poll):
                yield _mismarked(delivery, "was delivered before", (first.poll, poll))


def _first_ended(
    index: HistoryIndex,
) -> "Iterator[dict[tuple[str, HistoryRecord], RecordDelivery]]":
    """The delivery of each record in each group that was over first."""
    yield {
        key: min(of_record, key=lambda one: one.poll.completed)
        for key, of_record in index.deliveries.of_record.items()
    }


def _mismarked(delivery: RecordDelivery, fact: str, events: tuple[Poll, ...]) -> Anomaly:
    message = (
        f"redelivered is {delivery.polled.redelivered}, but {delivery.record} {fact} in {delivery.group}"
    )
    return Anomaly("mismarked redelivery", "POLL-REDELIVERED-1", message, events)


def _unanswered_before(index: HistoryIndex, group: str, interval: Poll) -> bool:
    """True if a poll of the group without a reply may precede the end of the interval."""
    # They are in the order of their invocations.
    return any(poll.invoked < interval.completed for _, poll in index.unanswered_polls.get(group, ())[:1])


def id_in_use(index: HistoryIndex) -> Iterator[Anomaly]:
    """Two records were in flight under one message id (POLL-OK-2).

    Anomaly: deliveries of two records have one message id, and one of them was in flight throughout the poll that
    returned the other.

    No false alarm: no settlement, departure, eviction or rebalance may have released the first before that poll
    ended.
    """
    for message_id, deliveries in index.deliveries.of_id.items():
        for first, second in _of_other_records(deliveries):
            if index.deliveries.in_flight_throughout(first, second.poll):
                yield Anomaly(
                    "id in use",
                    "POLL-OK-2",
                    f"{second.record} has the id {message_id}, under which {first.record} was in flight",
                    (first.poll, second.poll),
                )


def _of_other_records(
    deliveries: list[RecordDelivery],
) -> Iterator[tuple[RecordDelivery, RecordDelivery]]:
    """For each delivery the latest ones of up to `NEIGHBOURS` other records that ended before it."""
    if len(deliveries) == 1:
        return
    open_polls: list[tuple[float, int, RecordDelivery]] = []
    latest: dict[HistoryRecord, RecordDelivery] = {}
    for number, delivery in enumerate(deliveries):
        while open_polls and open_polls[0][0] < delivery.poll.invoked:
            ended = heapq.heappop(open_polls)[2]
            latest.pop(ended.record, None)
            latest[ended.record] = ended
            if len(latest) > NEIGHBOURS:
                latest.pop(next(iter(latest)))
        for record, other in latest.items():
            if record is not delivery.record:
                yield other, delivery
        heapq.heappush(open_polls, (delivery.poll.completed, number, delivery))
