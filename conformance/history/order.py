"""Records out of their order, in groups and in partitions: ORDER, PUB-STORE."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly
from conformance.history.skipped_records import anomalies_named

if TYPE_CHECKING:
    from conformance.history.records import HistoryRecord


def poll_skip(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record comes before one that lies in front of it, which comes only later."""
    return anomalies_named(index, "poll-skip")


def key_order_broken(index: HistoryIndex) -> Iterator[Anomaly]:
    """Of two records of a key, the later one comes first, be it over a rebalance or not."""
    return anomalies_named(index, "key order broken")


def more_than_one_in_flight(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer gets the next record of a partition while it holds one of it."""
    return anomalies_named(index, "more than one in flight")


def nonmonotonic_poll(index: HistoryIndex) -> Iterator[Anomaly]:
    """The polls of one consumer go back behind what it got before."""
    deliveries = index.deliveries
    for later in deliveries.all:
        for record in index.records.predecessors(later.record):
            for earlier in deliveries.in_group(later.group, record):
                if earlier.consumer == later.consumer and later.poll.before(earlier.poll):
                    yield Anomaly(
                        "nonmonotonic poll",
                        "ORDER-1",
                        f"{later.consumer} got {record} after {later.record}, which lies behind it",
                        (later.poll, earlier.poll),
                    )


def nonmonotonic_send(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record lies before another one that was stored before it was sent."""
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
                    f"{record} was stored before {first}, which was there before it was sent",
                    (*first_publish, publish),
                )
            if first is None or record.stored_by < first.stored_by:
                first = record


def lost(index: HistoryIndex) -> Iterator[Anomaly]:
    """A stored record never comes to a group that has got one behind it."""
    return anomalies_named(index, "lost")


def not_delivered_again(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record whose holder was evicted, left or unsubscribed does not come again before the next one."""
    return anomalies_named(index, "not delivered again")


def given_back_and_skipped(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record that was given back does not come again before the next one."""
    return anomalies_named(index, "given back and skipped")


def moved_under_its_holder(index: HistoryIndex) -> Iterator[Anomaly]:
    """The next record of a partition goes to another consumer while one of it is in flight."""
    return anomalies_named(index, "moved under its holder")


def committed_by_a_zombie(index: HistoryIndex) -> Iterator[Anomaly]:
    """The refused acknowledgement of a consumer that was gone commits all the same."""
    return anomalies_named(index, "committed by a zombie")


def committed_though_refused(index: HistoryIndex) -> Iterator[Anomaly]:
    """An acknowledgement that was refused commits all the same."""
    return anomalies_named(index, "committed though refused")
