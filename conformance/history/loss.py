"""Checkers of records that are missing, late, invented or changed: DELIVER-*, POLL-OK-1, PUB-TEXT-1."""

from bisect import bisect_left
from collections.abc import Iterator

from conformance.history.index import HistoryIndex
from conformance.history.owed_records import OwedRecord, owed
from conformance.history.records import HistoryRecord
from conformance.history.server_parameters import Anomaly

#: Latest deliveries that are looked at for the cause of an anomaly.
MOST_HELD = 64


def _owed_anomalies(
    index: HistoryIndex, name: str, clause: str, *, alone: bool, later: bool
) -> Iterator[Anomaly]:
    for found in index.cached(owed):
        if (len(found.polls) == 1) is alone and found.came_later is later:
            publish = (found.record.publish,) if found.record.publish is not None else ()
            yield Anomaly(
                name,
                _clause_of_release(index, found) if alone and later else clause,
                f"{found.record} was stored and free in the settled group {found.group}; no poll returned it",
                (*publish, *found.polls),
            )


def _clause_of_release(index: HistoryIndex, found: OwedRecord) -> str:
    """The clause that asks for an owed record once more if it was delivered before the poll of the only member.

    Otherwise POLL-FAIR-1 if the member held another record throughout that poll, or else POLL-OK-1.
    """
    deliveries = index.deliveries
    in_group = deliveries.in_group(found.group, found.record)
    end = bisect_left(in_group, found.polls[0].invoked, key=lambda one: one.poll.invoked)
    earlier = [one for one in in_group[max(0, end - MOST_HELD) : end] if one.poll.before(found.polls[0])]
    if not earlier:
        of_consumer = deliveries.of_consumer[found.polls[0].consumer]
        end = bisect_left(of_consumer, found.polls[0].invoked, key=lambda one: one.poll.invoked)
        held = of_consumer[max(0, end - MOST_HELD) : end]
        is_holding = any(deliveries.in_flight_throughout(delivery, found.polls[0]) for delivery in held)
        return "POLL-FAIR-1" if is_holding else "POLL-OK-1"
    is_given_back = deliveries.use_of(earlier[-1]).was_given_back(earlier[-1].poll)
    return "NACK-AGAIN-1" if is_given_back else "DELIVER-2"


def unseen(index: HistoryIndex) -> Iterator[Anomaly]:
    """The only member of a group came up empty, and the record never arrived (DELIVER-1).

    Anomaly: a record is owed by one poll, and was never delivered to the group.

    No false alarm: see `owed`.
    """
    return _owed_anomalies(index, "unseen", "DELIVER-1", alone=True, later=False)


def stale(index: HistoryIndex) -> Iterator[Anomaly]:
    """The only member of a group came up empty although a record was free (POLL-OK-1, DELIVER-2, NACK-AGAIN-1).

    Anomaly: a record is owed by one poll, and was delivered by another. If that was before, the record was given back,
    or its holder lost it.

    No false alarm: see `owed`.
    """
    return _owed_anomalies(index, "stale", "POLL-OK-1", alone=True, later=True)


def owned_by_none(index: HistoryIndex) -> Iterator[Anomaly]:
    """All members of a settled group came up empty although a record was free (REBALANCE-1, ASSIGN-1).

    Anomaly: a record is owed by the polls of several members.

    No false alarm: see `owed`.
    """
    yield from _owed_anomalies(index, "owned by none", "REBALANCE-1", alone=False, later=True)
    yield from _owed_anomalies(index, "owned by none", "REBALANCE-1", alone=False, later=False)


def phantom(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record was delivered that was not published (DELIVER-4), refused (PUB-BODY-2), or not sent yet.

    Anomaly: the delivered text has no publish, a refused one, or one invoked after the poll had completed.

    No false alarm: the topic is new, all its publishes are in the history, and each text is unique.
    """
    for delivery in index.deliveries.all:
        publish = delivery.record.publish
        if publish is None:
            message, clause = "was never published", "DELIVER-4"
        elif publish.refused:
            message, clause = "was refused", "PUB-BODY-2"
        elif delivery.poll.before(publish):
            message, clause = "was sent only later", "DELIVER-4"
        else:
            continue
        events = (delivery.poll,) if publish is None else (publish, delivery.poll)
        yield Anomaly(
            "phantom", clause, f"{delivery.consumer} got {delivery.record}, which {message}", events
        )


def changed(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record was delivered with another key than it was published with (PUB-TEXT-1).

    Anomaly: the keys of publish and delivery differ.

    No false alarm: no key, null and the empty key count as one, and a system that tells no keys is not asked.
    """
    for delivery in index.deliveries.all:
        publish, polled = delivery.record.publish, delivery.polled
        if publish is not None and polled.key_told and (polled.key or None) != (publish.key or None):
            yield Anomaly(
                "changed",
                "PUB-TEXT-1",
                f"{delivery.record} was published with key {publish.key!r}, and delivered with {polled.key!r}",
                (publish, delivery.poll),
            )


def recovered(index: HistoryIndex) -> list[HistoryRecord]:
    """Records whose publish had no reply, and that were delivered. This is no anomaly."""
    delivered = {delivery.record for delivery in index.deliveries.all}
    return [
        record
        for record in index.records
        if record in delivered and record.publish is not None and record.publish.status is None
    ]
