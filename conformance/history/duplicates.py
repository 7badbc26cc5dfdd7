"""Records that come again without a reason: DELIVER-3, ACK-COMMIT-1."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from conformance.history.deliveries import Delivery
from conformance.history.events import Poll
from conformance.history.index import Reading
from conformance.history.server_parameters import Anomaly

if TYPE_CHECKING:
    from conformance.history.records import Record


def duplicate(reading: Reading) -> Iterator[Anomaly]:
    """A record comes twice to a group, and in neither order can the first delivery have been over before."""
    for (group, record), of_record in reading.deliveries.of_record.items():
        if not group:
            continue
        # One that is neither the next nor the one after it follows those between.
        pairs = [*pairwise(of_record), *zip(of_record, of_record[2:], strict=False)]
        for one, other in pairs:
            polls = (one.poll, other.poll)
            if any(reading.deliveries.committed_by(group, record, poll) for poll in polls):
                continue  # that is a redelivery after the acknowledgement
            if not _may_follow(reading, one, other) and not _may_follow(reading, other, one):
                yield Anomaly(
                    "duplicate",
                    "DELIVER-3",
                    f"{record} came to {one.consumer} and to {other.consumer} of {group}; it was in flight",
                    polls,
                )


def _may_follow(reading: Reading, first: Delivery, second: Delivery) -> bool:
    if first.poll is second.poll or second.poll.before(first.poll):
        return False
    return reading.deliveries.may_be_free(first, second.poll)


def redelivery_after_acknowledgement(reading: Reading) -> Iterator[Anomaly]:
    """A record comes again in a group that has acknowledged it."""
    for delivery in reading.deliveries.all:
        if delivery.life is None:
            continue
        commit = reading.deliveries.committed_by(delivery.group, delivery.record, delivery.poll)
        if commit is not None:
            yield Anomaly(
                "redelivery after acknowledgement",
                "ACK-COMMIT-1",
                f"{delivery.consumer} got {delivery.record}, which {commit.consumer} of {delivery.group} "
                "had acknowledged",
                (commit, delivery.poll),
            )


def stored_twice(reading: Reading) -> Iterator[Anomaly]:
    """One publish is delivered from two positions."""
    seen: dict[Record, dict[tuple[int, int], Poll]] = defaultdict(dict)
    for delivery in reading.deliveries.all:
        got = delivery.got
        if got.partition is not None and got.offset is not None:
            seen[delivery.record].setdefault((got.partition, got.offset), delivery.poll)
    for record, positions in seen.items():
        if len(positions) > 1:
            yield Anomaly(
                "stored twice",
                "DELIVER-4",
                f"{record} was published once and comes from {' and '.join(map(str, positions))}",
                tuple(positions.values()),
            )


def mismarked_redelivery(reading: Reading) -> Iterator[Anomaly]:
    """`redelivered` says of a record that it was handed out before in the group, or not, and it is not so."""
    for delivery in reading.deliveries.all:
        told, poll = delivery.got.redelivered, delivery.poll
        if told is None or delivery.life is None:
            continue
        others = [
            other
            for other in reading.deliveries.in_group(delivery.group, delivery.record)
            if other is not delivery
        ]
        before = [other.poll for other in others if other.poll.before(poll)]
        perhaps = [other for other in others if other.poll.invoked < poll.completed]
        if told and not perhaps and not _unanswered(reading, delivery.group, poll):
            yield _mismarked(delivery, "was never handed out before", (poll,))
        elif not told and before:
            yield _mismarked(delivery, "was handed out before", (before[0], poll))


def _mismarked(delivery: Delivery, fact: str, events: tuple[Poll, ...]) -> Anomaly:
    message = f"redelivered is {delivery.got.redelivered}, but {delivery.record} {fact} in {delivery.group}"
    return Anomaly("mismarked redelivery", "POLL-REDELIVERED-1", message, events)


def _unanswered(reading: Reading, group: str, moment: Poll) -> bool:
    """Whether a poll of the group of which no reply came may have been before."""
    return any(poll.invoked < moment.completed for _, poll in reading.unanswered_polls.get(group, ()))


def id_in_use(reading: Reading) -> Iterator[Anomaly]:
    """Two records are in flight under one message id."""
    for message_id, deliveries in reading.deliveries.of_id.items():
        for one, other in combinations(deliveries, 2):
            if one.record is other.record:
                continue
            for first, second in ((one, other), (other, one)):
                if reading.deliveries.in_flight_through(first, second.poll):
                    yield Anomaly(
                        "id in use",
                        "POLL-OK-2",
                        f"{second.record} came under the id {message_id}, under which {first.record} is in flight",
                        (first.poll, second.poll),
                    )
