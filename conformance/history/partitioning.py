"""Checkers of the partitions and offsets of records: PART, PUB-POSITION."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from conformance.history.events import Event, Publish
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly

if TYPE_CHECKING:
    from conformance.history.records import HistoryRecord


def key_moved(index: HistoryIndex) -> Iterator[Anomaly]:
    """Records with one key lie in two partitions (PART-KEY-1).

    Anomaly: replies give two partitions for records of one topic with the same key.

    No false alarm: the partition of a key never changes; records without a key, or with an empty one, don't count.
    """
    home: dict[tuple[str, str], tuple[int, Event]] = {}
    for record in index.records:
        if not record.key:
            continue
        for (partition, _), event in record.positions.items():
            known, first = home.setdefault((record.topic, record.key), (partition, event))
            if known != partition:
                yield Anomaly(
                    "key moved to another partition",
                    "PART-KEY-1",
                    f"key {record.key!r} of {record.topic} lies in partitions {known} and {partition}",
                    (first, event),
                )


def inconsistent_offsets(index: HistoryIndex) -> Iterator[Anomaly]:
    """Two records have one position, or one record has two (PUB-POSITION-1).

    Anomaly: replies give two positions for one text, or one position for two texts of a topic.

    No false alarm: texts are unique in a topic, and the position of a record never changes.
    """
    taken: dict[tuple[str, int, int], tuple[HistoryRecord, Event]] = {}
    for record in index.records:
        if len(record.positions) > 1:
            yield Anomaly(
                "inconsistent offsets",
                "PUB-POSITION-1",
                f"{record} is told to lie at {' and '.join(map(str, record.positions))}",
                tuple(record.positions.values()),
            )
        for (partition, offset), event in record.positions.items():
            other, first = taken.setdefault((record.topic, partition, offset), (record, event))
            if other is not record:
                yield Anomaly(
                    "inconsistent offsets",
                    "PUB-POSITION-1",
                    f"{other} and {record} are told to lie at partition {partition}, offset {offset}",
                    (first, event),
                )


def offset_gap(index: HistoryIndex) -> Iterator[Anomaly]:
    """Offsets are missing that no record can have (PUB-POSITION-1).

    Anomaly: below the highest offsets of a topic's partitions more offsets are missing than the topic has records
    that may have been stored and whose position is unknown.

    No false alarm: offsets count up by one, the topic is new, and all its publishes are in the history.
    """
    if not index.parameters.positions:
        return
    for topic, records in index.records.of_topic.items():
        taken: dict[int, dict[int, Event]] = defaultdict(dict)
        for record in records:
            for (partition, offset), event in record.positions.items():
                taken[partition][offset] = event
        missing = {
            partition: sorted(set(range(max(offsets))) - offsets.keys())
            for partition, offsets in taken.items()
            if len(offsets) <= max(offsets)
        }
        unplaced = sum(
            not record.positions and record.publish is not None and record.publish.possible
            for record in records
        )
        if sum(map(len, missing.values())) > unplaced:
            yield Anomaly(
                "offset gap",
                "PUB-POSITION-1",
                f"in {topic} no record lies at {missing} (partition: offsets)",
                tuple(taken[partition][max(taken[partition])] for partition in missing),
            )


def uneven_spread(index: HistoryIndex) -> Iterator[Anomaly]:
    """Of as many keyless records in a row as there are partitions, two lie in one partition (PART-RR-1).

    Anomaly: N consecutive publishes without a key succeeded, where N is the number of partitions of the topic, and
    their replies give fewer than N partitions.

    No false alarm: the publishes don't overlap each other or any other publish to the topic that may have been
    stored, so the server stored just these records one after another.
    """
    by_topic: dict[str, list[Publish]] = defaultdict(list)
    for publish in index.of_type(Publish):
        if publish.possible:
            by_topic[publish.topic].append(publish)
    for topic, publishes in by_topic.items():
        partitions = index.parameters.partitions.get(topic, 0)
        for run in _keyless_runs(publishes):
            for end in range(partitions, len(run) + 1):
                row = run[end - partitions : end]
                places = [publish.partition for publish in row]
                if 1 < partitions != len(set(places)):
                    yield Anomaly(
                        "uneven spread",
                        "PART-RR-1",
                        f"{partitions} keyless records of {topic} in a row in partitions {places}",
                        tuple(row),
                    )


def _keyless_runs(publishes: list[Publish]) -> Iterator[list[Publish]]:
    """Runs of keyless publishes, in their order, such that no other record can have been stored within a run."""
    run: list[Publish] = []
    latest = float("-inf")
    for number, publish in enumerate(publishes):
        follows = latest < publish.invoked
        latest = max(latest, publish.completed)
        alone = follows and (
            number + 1 == len(publishes) or publish.completed < publishes[number + 1].invoked
        )
        if publish.key or publish.partition is None or not publish.succeeded or not alone:
            yield run
            run = []
        else:
            run.append(publish)
    yield run
