"""Checkers of the order of records in a partition: ORDER, DELIVER-2, REBALANCE-2, PUB-STORE-1.

Ten of the checkers report skipped records by cause: their anomaly, and the argument against false alarms, is that
of `skipped_records`; the docstring adds what the cause requires. For each of them the skipped record was stored and
no acknowledgement may have committed it, so the delivery is wrong whichever cause is named.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly
from conformance.history.skipped_records import anomalies_named

if TYPE_CHECKING:
    from conformance.history.records import HistoryRecord


def poll_skip(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record was delivered before an earlier one of its partition (ORDER-1).

    Anomaly: a skipped record whose polls all began after the delivery had ended; they have no key in common.

    No false alarm: see `skipped_records`.
    """
    return anomalies_named(index, "poll-skip")


def key_order_broken(index: HistoryIndex) -> Iterator[Anomaly]:
    """Of two records with one key, the later one was delivered first (ORDER-1).

    Anomaly: a skipped record whose polls all began after the delivery had ended; its key is the same.

    No false alarm: see `skipped_records`.
    """
    return anomalies_named(index, "key order broken")


def more_than_one_in_flight(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer got the next record of a partition while it held one of it (ORDER-2).

    Anomaly: a skipped record that was delivered before and neither committed nor known to be released.

    No false alarm: see `skipped_records`.
    """
    return anomalies_named(index, "more than one in flight")


def lost(index: HistoryIndex) -> Iterator[Anomaly]:
    """A stored record was never delivered to a group that got a later one (DELIVER-1).

    Anomaly: a skipped record without any delivery in the group, unless the group `started_late`.

    No false alarm: see `skipped_records`.
    """
    return anomalies_named(index, "lost")


def started_late(index: HistoryIndex) -> Iterator[Anomaly]:
    """A group began behind the oldest record of a partition (DELIVER-1, POLL-START-1).

    Anomaly: a skipped record without any delivery in the group, whose publish began before the group subscribed to
    the topic for the first time, and which lies before all records of its partition that the group got.

    No false alarm: see `skipped_records`.
    """
    return anomalies_named(index, "started late")


def not_delivered_again(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record whose holder left, unsubscribed or was evicted was not delivered again before a later one (DELIVER-2).

    Anomaly: a skipped record whose latest delivery must have been released before the poll.

    No false alarm: see `skipped_records`.
    """
    return anomalies_named(index, "not delivered again")


def given_back_and_skipped(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record that was given back was not delivered again before a later one (NACK-AGAIN-1).

    Anomaly: a skipped record with a negative acknowledgement that succeeded.

    No false alarm: see `skipped_records`.
    """
    return anomalies_named(index, "given back and skipped")


def moved_under_its_holder(index: HistoryIndex) -> Iterator[Anomaly]:
    """The next record of a partition went to another consumer while one of it was in flight (REBALANCE-2).

    Anomaly: a skipped record that was in flight with another consumer throughout the poll.

    No false alarm: see `skipped_records`.
    """
    return anomalies_named(index, "moved under its holder")


def committed_by_a_zombie(index: HistoryIndex) -> Iterator[Anomaly]:
    """The refused acknowledgement of a consumer that was gone committed a record all the same (LIVE-GONE-3).

    Anomaly: a skipped record with a refused acknowledgement by a consumer that may have been gone.

    No false alarm: see `skipped_records`; a refused acknowledgement commits nothing (REFUSE-1).
    """
    return anomalies_named(index, "committed by a zombie")


def committed_though_refused(index: HistoryIndex) -> Iterator[Anomaly]:
    """A refused acknowledgement committed a record all the same (REFUSE-1).

    Anomaly: a skipped record with a refused acknowledgement by a consumer that was registered.

    No false alarm: see `skipped_records`; a refused acknowledgement commits nothing.
    """
    return anomalies_named(index, "committed though refused")


def nonmonotonic_poll(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer got a record after a later one of the same partition (ORDER-1).

    Anomaly: one consumer got a record, and the nearest known record before it in a poll invoked after that of the
    first had completed; the earlier record may have been acknowledged when the later one was handed out.

    No false alarm: when the later record was handed out, the earlier one was committed (ORDER-2), and a committed
    record is not handed out again in the group (ACK-COMMIT-1). If it can't have been acknowledged, it was in flight and
    has to come again: the anomaly is then that of the later record, more than one in flight.
    """
    latest = {(one.group, one.record, one.consumer): one for one in index.deliveries.all}
    for later in index.deliveries.all:
        for record in index.records.predecessors(later.record):
            earlier = latest.get((later.group, record, later.consumer))
            if (
                earlier is not None
                and later.poll.before(earlier.poll)
                and index.deliveries.may_be_committed(later.group, record, later.poll)
            ):
                yield Anomaly(
                    "nonmonotonic poll",
                    "ORDER-1",
                    f"{later.consumer} got {record} after {later.record}, which lies behind it",
                    (later.poll, earlier.poll),
                )


def nonmonotonic_send(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record lies before another one that had been stored before it was sent (PUB-STORE-1).

    Anomaly: of two records of a partition, the one with the higher offset was stored before the publish of the
    other was invoked.

    No false alarm: a record is stored at the end of its partition, so offsets grow in the order of storing.

    One record with the earliest `stored_by` is compared: if any record behind was stored in time, that one was.
    """
    by_partition: dict[tuple[str, int], list[tuple[int, HistoryRecord]]] = defaultdict(list)
    for record in index.records:
        if record.position is not None and record.publish is not None:
            partition, offset = record.position
            by_partition[record.topic, partition].append((offset, record))
    for placed in by_partition.values():
        placed.sort(key=lambda pair: pair[0])
        first: HistoryRecord | None = None
        for _, record in reversed(placed):
            publish = record.publish
            if publish is not None and first is not None and first.stored_by < publish.invoked:
                first_publish = (first.publish,) if first.publish is not None else ()
                yield Anomaly(
                    "nonmonotonic send",
                    "PUB-STORE-1",
                    f"{record} lies before {first}, which was stored before it was sent",
                    (*first_publish, publish),
                )
            if first is None or record.stored_by < first.stored_by:
                first = record
