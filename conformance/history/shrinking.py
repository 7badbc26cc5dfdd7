"""Smallest histories that show an anomaly, found by leaving events out.

An anomaly counts as the same if its name, clause and message are the same: the message names consumers, records and
times, so that leaving out an event that matters changes it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from conformance.history.checkers import CHECKERS
from conformance.history.events import ConsumerEvent, Event, Poll, Publish, Settle
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly, ServerParameters

#: Most events, with their records, that a search begins with.
MOST_EVENTS = 2_000
#: Most events that the checker is given in all attempts for one anomaly together.
MOST_WORK = 60_000
#: Anomalies of one attempt among which the same one is looked for.
MOST_ANOMALIES = 200


def smallest(index: HistoryIndex, anomaly: Anomaly) -> tuple[Event, ...]:
    """A history from which no event can be left out without losing the anomaly, in the order of invocations.

    Empty if the events around the anomaly don't show it. If the work exceeds `MOST_WORK`, the history is the smallest
    one so far. Pure.
    """
    (surroundings,) = index.cached(_surroundings)
    for start in surroundings.of(anomaly):
        search = _Search(index.parameters, anomaly)
        if _weight(start) <= MOST_EVENTS and search.shows(start):
            return tuple(search.shrunk(start))
    return ()


def _surroundings(index: HistoryIndex) -> "Iterator[_Surroundings]":
    yield _Surroundings(index)


class _Surroundings:
    """The events of a history by what they are about."""

    def __init__(self, index: HistoryIndex) -> None:
        self._index = index
        #: Events of each consumer other than polls and settlements.
        self._of_member: dict[str, list[Event]] = defaultdict(list)
        self._of_record: dict[tuple[str, str], list[Event]] = defaultdict(list)
        self._of_id: dict[int | str, list[Event]] = defaultdict(list)
        self._empty: dict[str, list[Event]] = defaultdict(list)
        self._others: list[Event] = []
        for event in index.events:
            if isinstance(event, Poll):
                for polled in event.records:
                    self._of_record[polled.topic, polled.text].append(event)
                if not event.records:
                    self._empty[event.consumer].append(event)
            elif isinstance(event, Publish):
                self._of_record[event.topic, event.text].append(event)
            elif isinstance(event, Settle):
                self._of_id[event.message_id].append(event)
            elif isinstance(event, ConsumerEvent):
                self._of_member[event.consumer].append(event)
            else:
                self._others.append(event)

    def of(self, anomaly: Anomaly) -> Iterator[list[Event]]:
        """Sets of events that may show the anomaly, the smaller first."""
        proof = anomaly.events
        if _weight(proof) > MOST_EVENTS:
            return
        names = {event.consumer for event in proof if isinstance(event, ConsumerEvent)}
        polled = [record for event in proof if isinstance(event, Poll) for record in event.records]
        records = {(record.topic, record.text) for record in polled}
        records |= {(event.topic, event.text) for event in proof if isinstance(event, Publish)}
        ids = {record.message_id for record in polled}
        ids |= {event.message_id for event in proof if isinstance(event, Settle)}
        around = [
            *proof,
            *(event for name in names for event in self._of_member.get(name, ())),
            *(event for record in records for event in self._of_record[record]),
            *(event for one in ids for event in self._of_id.get(one, ())),
        ]
        yield _ordered(around)
        lifetimes = self._index.lifetimes
        groups = {lifetime.group for name in names for lifetime in lifetimes.of_name.get(name, ())}
        members = {lifetime.name for group in groups for lifetime in lifetimes.of_group.get(group, ())}
        around += [event for name in members for event in self._of_member.get(name, ())]
        yield _ordered(around)
        yield _ordered([*around, *self._others])
        last = max(event.invoked for event in proof)
        empty = [event for name in members for event in self._empty.get(name, ()) if event.invoked <= last]
        newest = sorted(empty, key=lambda event: event.invoked)[-MOST_EVENTS // 4 :]
        yield _ordered([*around, *self._others, *newest])
        yield list(self._index.events)


def _ordered(events: Iterable[Event]) -> list[Event]:
    """The events, each once, by invocation."""
    unique = {id(event): event for event in events}
    return sorted(unique.values(), key=lambda event: event.invoked)


def _weight(events: Sequence[Event]) -> int:
    """Number of events and of the records that they brought."""
    return len(events) + sum(len(event.records) for event in events if isinstance(event, Poll))


class _Search:
    """The search for one anomaly, with the work so far."""

    def __init__(self, parameters: ServerParameters, anomaly: Anomaly) -> None:
        self._parameters = parameters
        self._wanted = anomaly.name, anomaly.clause, anomaly.message
        self._check = CHECKERS[anomaly.name]
        self._work = 0

    def shows(self, events: Sequence[Event]) -> bool:
        """True if the checker finds the anomaly in these events alone."""
        self._work += _weight(events)
        found = self._check(HistoryIndex(events, self._parameters))
        return any(
            (one.name, one.clause, one.message) == self._wanted for one in islice(found, MOST_ANOMALIES)
        )

    def shrunk(self, events: list[Event]) -> list[Event]:
        """The events without those that can be left out: in large pieces first, then one by one."""
        size = max(1, len(events) // 2)
        while self._work <= MOST_WORK:
            start, left_out = 0, False
            while start < len(events) and self._work <= MOST_WORK:
                rest = events[:start] + events[start + size :]
                if rest and self.shows(rest):
                    events, left_out = rest, True
                else:
                    start += size
            if size == 1 and not left_out:
                break
            size = max(1, size // 2)
        return events
