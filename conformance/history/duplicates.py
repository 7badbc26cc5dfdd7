"""Records that come again without a reason: DELIVER-3, ACK-COMMIT-1."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from conformance.history.deliveries import RecordDelivery
from conformance.history.events import Poll
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly

if TYPE_CHECKING:
    from conformance.history.records import HistoryRecord


def duplicate(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record comes twice to a group, and in neither order can the first delivery have been over before."""
    for (group, record), of_record in index.deliveries.of_record.items():
        if not group:
            continue
        # One that is neither the next nor the one after it follows those between.
        pairs = [*pairwise(of_record), *zip(of_record, of_record[2:], strict=False)]
        for one, other in pairs:
            polls = (one.poll, other.poll)
            if any(index.deliveries.commit_before(group, record, poll) for poll in polls):
                continue  # that is a redelivery after the acknowledgement
            if not _may_follow(index, one, other) and not _may_follow(index, other, one):
                yield Anomaly(
                    "duplicate",
                    "DELIVER-3",
                    f"{record} came to {one.consumer} and to {other.consumer} of {group}; it was in flight",
                    polls,
                )


def _may_follow(index: HistoryIndex, first: RecordDelivery, second: RecordDelivery) -> bool:
    if first.poll is second.poll or second.poll.before(first.poll):
        return False
    return index.deliveries.may_be_redeliverable(first, second.poll)


def redelivery_after_acknowledgement(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record comes again in a group that has acknowledged it."""
    for delivery in index.deliveries.all:
        if delivery.lifetime is None:
            continue
        commit = index.deliveries.commit_before(delivery.group, delivery.record, delivery.poll)
        if commit is not None:
            yield Anomaly(
                "redelivery after acknowledgement",
                "ACK-COMMIT-1",
                f"{delivery.consumer} got {delivery.record}, which {commit.consumer} of {delivery.group} "
                "had acknowledged",
                (commit, delivery.poll),
            )


def stored_twice(index: HistoryIndex) -> Iterator[Anomaly]:
    """One publish is delivered from two positions."""
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
                f"{record} was published once and comes from {' and '.join(map(str, positions))}",
                tuple(positions.values()),
            )


def mismarked_redelivery(index: HistoryIndex) -> Iterator[Anomaly]:
    """`redelivered` says of a record that it was handed out before in the group, or not, and it is not so."""
    for delivery in index.deliveries.all:
        told, poll = delivery.polled.redelivered, delivery.poll
        if told is None or delivery.lifetime is None:
            continue
        others = [
            other
            for other in index.deliveries.in_group(delivery.group, delivery.record)
            if other is not delivery
        ]
        before = [other.poll for other in others if other.poll.before(poll)]
        perhaps = [other for other in others if other.poll.invoked < poll.completed]
        if told and not perhaps and not _unanswered(index, delivery.group, poll):
            yield _mismarked(delivery, "was never handed out before", (poll,))
        elif not told and before:
            yield _mismarked(delivery, "was handed out before", (before[0], poll))


def _mismarked(delivery: RecordDelivery, fact: str, events: tuple[Poll, ...]) -> Anomaly:
    message = (
        f"redelivered is {delivery.polled.redelivered}, but {delivery.record} {fact} in {delivery.group}"
    )
    return Anomaly("mismarked redelivery", "POLL-REDELIVERED-1", message, events)


def _unanswered(index: HistoryIndex, group: str, interval: Poll) -> bool:
    """Whether a poll of the group of which no reply came may have been before."""
    return any(poll.invoked < interval.completed for _, poll in index.unanswered_polls.get(group, ()))


def id_in_use(index: HistoryIndex) -> Iterator[Anomaly]:
    """Two records are in flight under one message id."""
    for message_id, deliveries in index.deliveries.of_id.items():
        for one, other in combinations(deliveries, 2):
            if one.record is other.record:
                continue
            for first, second in ((one, other), (other, one)):
                if index.deliveries.in_flight_throughout(first, second.poll):
                    yield Anomaly(
                        "id in use",
                        "POLL-OK-2",
                        f"{second.record} came under the id {message_id}, under which {first.record} is in flight",
                        (first.poll, second.poll),
                    )
