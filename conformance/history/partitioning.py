"""Checkers of the partitions and offsets of records: PART, PUB-POSITION."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.history.events import Event, Publish
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly

if TYPE_CHECKING:
    from conformance.history.records import HistoryRecord

#: Ranges of missing offsets that are named.
MOST_GAPS = 10


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
        missing = {partition: _gaps(offsets) for partition, offsets in taken.items()}
        unplaced = sum(
            not record.positions and record.publish is not None and record.publish.possible
            for record in records
        )
        if sum(end - start for gaps in missing.values() for start, end in gaps) > unplaced:
            shown = {partition: _described(gaps) for partition, gaps in sorted(missing.items()) if gaps}
            yield Anomaly(
                "offset gap",
                "PUB-POSITION-1",
                f"in {topic} no record lies at {shown} (partition: offsets)",
                tuple(taken[partition][max(taken[partition])] for partition in shown),
            )


def _gaps(offsets: Iterable[int]) -> list[tuple[int, int]]:
    """Ranges of missing offsets below the highest one: the first missing one, and the one behind the last."""
    return [(one + 1, other) for one, other in pairwise([-1, *sorted(offsets)]) if other > one + 1]


def _described(gaps: list[tuple[int, int]]) -> str:
    """The first ranges in words."""
    words = [f"{start}" if end == start + 1 else f"{start} to {end - 1}" for start, end in gaps[:MOST_GAPS]]
    return ", ".join(words) + (" …" if len(gaps) > MOST_GAPS else "")


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
        if partitions < 2:
            continue
        for run in _keyless_runs(publishes):
            in_row: Counter[int | None] = Counter()
            for number, publish in enumerate(run):
                in_row[publish.partition] += 1
                if number >= partitions:
                    out = run[number - partitions].partition
                    in_row[out] -= 1
                    if not in_row[out]:
                        del in_row[out]
                if number + 1 >= partitions and len(in_row) != partitions:
                    row = run[number + 1 - partitions : number + 1]
                    yield Anomaly(
                        "uneven spread",
                        "PART-RR-1",
                        f"{partitions} keyless records of {topic} in a row in partitions "
                        f"{[one.partition for one in row]}",
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
