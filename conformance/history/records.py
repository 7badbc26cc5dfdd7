"""Records of a history: their publishes, bounds on their storing, their positions and predecessors."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from conformance.history.events import NEVER, AckSubscription, Event, Poll, PolledRecord, ProducerAck, Publish
from conformance.history.extremes import LargestBelow

Position = tuple[int, int]
#: Nearest records before one with the same key, where their order among each other is not known.
MOST_PREDECESSORS = 16


@dataclass(eq=False, slots=True)
class HistoryRecord:
    """One text that was published to a topic, or delivered from it.

    `stored_by` is the earliest completion of an event that proves that the record was stored, in seconds; infinite
    if there is none. A long history has hundreds of thousands of records, so that the usual one, with one position,
    has no dictionary of its own.
    """

    topic: str
    text: str
    publish: Publish | None = None
    stored_by: float = NEVER
    _place: Position | None = None
    _told: Event | None = None
    _others: dict[Position, Event] | None = None

    @property
    def positions(self) -> dict[Position, Event]:
        """The pairs of partition and offset that replies gave, with the first event that gave each."""
        if self._place is None or self._told is None:
            return {}
        return {self._place: self._told, **(self._others or {})}

    def add_position(self, position: Position, event: Event) -> None:
        """Note the position that a reply gave."""
        if self._place is None:
            self._place, self._told = position, event
        elif position != self._place:
            self._others = self._others or {}
            self._others.setdefault(position, event)

    @property
    def key(self) -> str | None:
        """The key that the record was published with; None if it had none, or an empty one."""
        return (self.publish.key or None) if self.publish is not None else None

    @property
    def position(self) -> Position | None:
        """Partition and offset; None if replies gave no position, or several."""
        return self._place if self._others is None else None

    @property
    def has_no_position(self) -> bool:
        """True if no reply gave a position."""
        return self._place is None

    @property
    def refused(self) -> bool:
        """True if the publish was refused."""
        return self.publish is not None and self.publish.refused

    def __str__(self) -> str:
        where = f" at {self.position}" if self.position else ""
        return f"{self.text!r} of {self.topic}{where}"


class HistoryRecords:
    """All records of a history."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._by_text: dict[tuple[str, str], HistoryRecord] = {}
        self._predecessors: dict[HistoryRecord, tuple[HistoryRecord, ...]] = {}
        self._successors: dict[HistoryRecord, HistoryRecord] = {}
        events = list(events)
        published = [event for event in events if isinstance(event, Publish)]
        for publish in published:
            self._add_publish(publish)
        for event in events:
            if isinstance(event, Poll):
                for polled in event.records:
                    self._add_delivery(event, polled)
        self._add_acks(events, published)
        self.of_topic: dict[str, list[HistoryRecord]] = defaultdict(list)
        for record in self._by_text.values():
            self.of_topic[record.topic].append(record)
        for records in self.of_topic.values():
            self._find_predecessors(records)

    def __iter__(self) -> Iterator[HistoryRecord]:
        return iter(self._by_text.values())

    def find(self, polled: PolledRecord) -> HistoryRecord:
        """The record that a poll returned."""
        return self._by_text[polled.topic, polled.text]

    def predecessors(self, record: HistoryRecord) -> tuple[HistoryRecord, ...]:
        """The known records that lie nearest before this one in its partition.

        With positions, that is the one with the next lower offset. Without, a record of the same key that was stored
        before this one was sent lies before it (PART-KEY-1, PUB-STORE-1); the nearest ones are those that no other
        record of the key must follow.
        """
        return self._predecessors.get(record, ())

    def successor(self, record: HistoryRecord) -> HistoryRecord | None:
        """The known record with the next higher offset in its partition; None without positions."""
        return self._successors.get(record)

    # Building

    def _record(self, topic: str, text: str) -> HistoryRecord:
        record = self._by_text.get((topic, text))
        if record is None:
            record = self._by_text[topic, text] = HistoryRecord(topic, text)
        return record

    def _add_publish(self, publish: Publish) -> None:
        record = self._record(publish.topic, publish.text)
        if record.publish is None:
            record.publish = publish
        if publish.succeeded:
            record.stored_by = min(record.stored_by, publish.completed)
            if publish.partition is not None and publish.offset is not None:
                record.add_position((publish.partition, publish.offset), publish)

    def _add_delivery(self, poll: Poll, polled: PolledRecord) -> None:
        record = self._record(polled.topic, polled.text)
        record.stored_by = min(record.stored_by, poll.completed)
        if polled.partition is not None and polled.offset is not None:
            record.add_position((polled.partition, polled.offset), poll)

    def _add_acks(self, events: list[Event], published: list[Publish]) -> None:
        """Take an ACK as proof that a record was stored, if one publish only has its label."""
        labelled: dict[tuple[str, str | int], list[Publish]] = defaultdict(list)
        for publish in published:
            labelled[publish.topic, publish.label].append(publish)
        topics = {event.subscription: event.topic for event in events if isinstance(event, AckSubscription)}
        for ack in events:
            if isinstance(ack, ProducerAck) and ack.outcome == "ACK" and ack.label is not None:
                of_label = labelled.get((topics.get(ack.subscription, ""), ack.label), [])
                if len(of_label) == 1:
                    record = self._record(of_label[0].topic, of_label[0].text)
                    record.stored_by = min(record.stored_by, ack.completed)

    def _find_predecessors(self, records: list[HistoryRecord]) -> None:
        by_partition: dict[int, list[tuple[int, HistoryRecord]]] = defaultdict(list)
        by_key: dict[str, list[HistoryRecord]] = defaultdict(list)
        for record in records:
            if record.position is not None:
                by_partition[record.position[0]].append((record.position[1], record))
            elif record.key and record.has_no_position:
                by_key[record.key].append(record)
        for placed in by_partition.values():
            placed.sort(key=lambda pair: pair[0])
            for (earlier, one), (later, other) in pairwise(placed):
                if earlier != later:
                    self._predecessors[other] = (one,)
                    self._successors[one] = other
        for of_key in by_key.values():
            self._find_by_key(of_key)

    def _find_by_key(self, of_key: list[HistoryRecord]) -> None:
        """The nearest records of a key that were stored before each one was sent, at most `MOST_PREDECESSORS`.

        Those are left out that another one of them must follow: they were stored before the newest was sent.
        """
        sent = [(record.stored_by, record.publish.invoked, record) for record in of_key if record.publish]
        sent.sort(key=lambda entry: entry[0])
        stored = [entry[0] for entry in sent]
        newest = LargestBelow(sent)
        for record in of_key:
            if record.publish is None:
                continue
            end = bisect_left(stored, record.publish.invoked)
            start = bisect_left(stored, newest.below(record.publish.invoked))
            nearest = sent[max(start, end - MOST_PREDECESSORS) : end]
            if nearest:
                self._predecessors[record] = tuple(entry[2] for entry in nearest)
