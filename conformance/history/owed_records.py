"""Owed records: those that one of the empty polls of a settled group had to return."""

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from conformance.history.consumer_lifetimes import ConsumerLifetime
from conformance.history.deliveries import RecordDelivery
from conformance.history.events import NEVER, Event, Heartbeat, Poll
from conformance.history.extremes import LargestBelow
from conformance.history.index import HistoryIndex
from conformance.history.records import HistoryRecord

#: Owed records that are looked for in one history.
MOST_OWED = 3_000


@dataclass(frozen=True)
class OwedRecord:
    """A record that one of the empty polls had to return, or an earlier one in its place.

    `came_later` is True if the record was delivered to the group at any time.
    """

    group: str
    record: HistoryRecord
    polls: tuple[Poll, ...]
    came_later: bool


def owed(index: HistoryIndex) -> Iterator[OwedRecord]:
    """Find, for each topic of each empty poll, at most one record that the polls of the group had to return.

    Condition: let `polls` be the latest empty poll of each consumer that may be subscribed to the topic, and `span`
    the interval from the first invocation to the last completion among them. A record is owed if

    1. no rebalance was under way in `span`, and every one of these consumers was subscribed throughout `span`;
    2. the record was stored before `span`, and no acknowledgement that began before the end of `span` may have
       committed it;
    3. no record of its partition was in flight at any instant of `span`.

    Proof: by 1 and ASSIGN-1 one of these consumers owned the partition of the record, the same one throughout
    `span`. By 2 the partition held an uncommitted record throughout `span`: this one. By 3 the first uncommitted
    record of the partition was free throughout `span`; it is this record or one before it. So when the server
    carried out the owner's poll, at some instant of `span`, the owner had a partition with a free record, and
    POLL-OK-1 asks for status 200. The poll came up empty.

    No false alarm: each of the three holds at every instant of `span`. For 3, a delivery counts as in flight from
    the invocation of its poll until a commit or a release that must have completed before `span`; a poll without a
    reply, unless its consumer must have been gone, may hold any record of the group. A record whose partition is
    unknown is owed only if nothing of the topic was in flight.
    """
    groups: dict[str, _GroupPolls] = {}
    topics: dict[tuple[str, str], _WaitingRecords] = {}
    count = 0
    for poll in sorted(index.of_type(Poll), key=lambda poll: poll.completed):
        lifetime = index.lifetimes.lifetime_at(poll)
        if lifetime is None or not poll.empty:
            continue
        group = lifetime.group
        if group not in groups:
            groups[group] = _GroupPolls(index, group)
        groups[group].add(lifetime, poll)
        for topic in lifetime.subscriptions:
            if (group, topic) not in topics:
                topics[group, topic] = _WaitingRecords(index, groups[group], topic)
            waiting = topics[group, topic]
            # The span holds the poll: a record that it is owed in is owed in the poll alone, too.
            if waiting.owed_in(poll) is None:
                continue
            polls = groups[group].empty_polls_of_all_members(lifetime, topic)
            record = waiting.owed_in(_span(polls)) if polls else None
            if record is not None:
                count += 1
                came_later = bool(index.deliveries.in_group(group, record))
                yield OwedRecord(group, record, polls, came_later)
        if count >= MOST_OWED:
            return


class _GroupPolls:
    """The empty polls of one group so far, and the real time by which each lifetime must be gone."""

    def __init__(self, index: HistoryIndex, group: str) -> None:
        self.index = index
        self.group = group
        self._empty: dict[ConsumerLifetime, Poll] = {}
        self._gone_at: dict[ConsumerLifetime, float] = {}
        lifetimes = index.lifetimes.of_group[group]
        polls = [
            event
            for lifetime in lifetimes
            for event in lifetime.events
            if isinstance(event, Poll) and event.empty
        ]
        polls.sort(key=lambda poll: poll.invoked)
        self._invoked = [poll.invoked for poll in polls]
        # The earliest time of the group's clock at each poll or a later one.
        self._clock = list(accumulate((poll.group_time_began for poll in reversed(polls)), min))[::-1]
        polls.sort(key=lambda poll: poll.completed)
        # Polls come by completion: the earliest beginning of each one and all that come after it.
        self._earliest = list(accumulate((poll.invoked for poll in reversed(polls)), min))[::-1]
        self._count = 0
        self._coming = sorted(lifetimes, key=lambda lifetime: -lifetime.registration.invoked)
        self._present: list[ConsumerLifetime] = []

    def add(self, lifetime: ConsumerLifetime, poll: Poll) -> None:
        """Add the next poll, by completion."""
        self._empty[lifetime] = poll
        self._count += 1

    def gone_at(self, lifetime: ConsumerLifetime) -> float:
        """Time, in seconds, such that the lifetime must be over in every span of empty polls that begins later."""
        if lifetime not in self._gone_at:
            self._gone_at[lifetime] = self._end_of(lifetime)
        return self._gone_at[lifetime]

    def _end_of(self, lifetime: ConsumerLifetime) -> float:
        limit = self.index.parameters.eviction_limit
        if not lifetime.unambiguous:
            return NEVER
        heard = lifetime.registration.sign_ended
        for event in lifetime.events:
            if (
                event.group_time_began - heard > limit
                and event.refused
                and isinstance(event, Heartbeat | Poll)
            ):
                break
            heard = max(heard, event.sign_ended)
        # The last poll at which the clock may not have passed the limit.
        last = bisect_right(self._clock, heard + limit) - 1
        silent = self._invoked[last] if last >= 0 else float("-inf")
        if heard + limit == NEVER:
            silent = NEVER
        return min(lifetime.proved_gone_at, silent)

    def empty_polls_of_all_members(self, lifetime: ConsumerLifetime, topic: str) -> tuple[Poll, ...]:
        """The latest empty polls of all possible subscribers, by condition 1 of `owed`; () if it does not hold."""
        index, last = self.index, self._empty[lifetime]
        if not index.rebalances.settled_throughout(self.group, last):
            return ()
        while self._coming and self._coming[-1].registration.invoked <= last.completed:
            self._present.append(self._coming.pop())
        earliest = self._earliest[min(self._count, len(self._earliest)) - 1]
        self._present = [one for one in self._present if self.gone_at(one) >= earliest]
        members = [
            one
            for one in self._present
            if topic in one.subscriptions and index.lifetimes.may_be_subscribed(one, topic, last)
        ]
        if lifetime not in members or any(member not in self._empty for member in members):
            return ()
        polls = tuple(self._empty[member] for member in members)
        span = _span(polls)
        if not index.rebalances.settled_throughout(self.group, span):
            return ()
        if not all(index.lifetimes.subscribed_throughout(member, topic, span) for member in members):
            return ()
        return polls


def _span(polls: tuple[Poll, ...]) -> Event:
    """The interval from the first invocation to the last completion."""
    return Event(
        process="",
        invoked=min(poll.invoked for poll in polls),
        completed=max(poll.completed for poll in polls),
        group_time_began=min(poll.group_time_began for poll in polls),
        group_time_ended=max(poll.group_time_ended for poll in polls),
    )


class _WaitingRecords:
    """The records of a topic that a group has not committed, by partition, for conditions 2 and 3 of `owed`.

    Spans are asked about in the order of their ends. The partition of a record is None if it is unknown.
    """

    def __init__(self, index: HistoryIndex, polls: _GroupPolls, topic: str) -> None:
        self._index = index
        self._polls = polls
        self._group = polls.group
        stored = [record for record in index.records.of_topic[topic] if record.stored_by < NEVER]
        self._coming = sorted(stored, key=lambda record: -record.stored_by)
        self._heaps: dict[int | None, list[tuple[float, int, HistoryRecord]]] = defaultdict(list)
        self._pushed = 0
        #: Partitions that may have a free record, and those that have none in spans that begin up to a time.
        self._ready: set[int | None] = set()
        self._blocked: list[tuple[float, int, int | None]] = []
        in_partition: dict[int | None, list[tuple[float, float, RecordDelivery]]] = defaultdict(list)
        every: list[tuple[float, float, RecordDelivery]] = []
        for delivery in index.deliveries.of_topic[self._group, topic]:
            entry = (delivery.poll.invoked, self._released_at(delivery), delivery)
            partition = _partition(delivery.record)
            in_partition[partition].append(entry)
            every.append(entry)
        #: Latest release of a record in flight, by the beginning of its poll.
        self._held = {partition: LargestBelow(entries) for partition, entries in in_partition.items()}
        self._held_anywhere = LargestBelow(every)
        self._unanswered = LargestBelow(
            (poll.invoked, polls.gone_at(lifetime), poll)
            for lifetime, poll in index.unanswered_polls.get(self._group, ())
        )

    def _released_at(self, delivery: RecordDelivery) -> float:
        """Time such that the record is not in flight by this delivery in any span that begins later."""
        lifetime, deliveries = delivery.lifetime, self._index.deliveries
        committed = deliveries.first_commit(self._group, delivery.record)
        if lifetime is None:
            return committed
        given_back = deliveries.use_of(delivery).first_return(delivery.poll)
        left = lifetime.topic_times(delivery.record.topic).first_departure(delivery.poll)
        return min(committed, given_back, left, self._polls.gone_at(lifetime))

    def owed_in(self, span: Event) -> HistoryRecord | None:
        """A record of the topic for which conditions 2 and 3 of `owed` hold; None if there is none."""
        while self._coming and self._coming[-1].stored_by < span.completed:
            self._push(self._coming.pop())
        while self._blocked and self._blocked[0][0] < span.invoked:
            self._ready.add(heapq.heappop(self._blocked)[2])
        if not self._ready or self._unanswered.below(span.completed) >= span.invoked:
            return None
        unknown = self._held.get(None)
        if unknown is not None and unknown.below(span.completed) >= span.invoked:
            return None
        for partition in list(self._ready):
            record = self._first(partition, span)
            if record is None:
                self._ready.discard(partition)
                continue
            blocked_until = (
                record.stored_by if record.stored_by >= span.invoked else self._held_until(partition, span)
            )
            if blocked_until < span.invoked:
                return record
            self._ready.discard(partition)
            self._pushed += 1
            heapq.heappush(self._blocked, (blocked_until, self._pushed, partition))
        return None

    def _push(self, record: HistoryRecord) -> None:
        partition = _partition(record)
        heap = self._heaps[partition]
        if not heap:
            self._ready.add(partition)
        self._pushed += 1
        heapq.heappush(heap, (record.stored_by, self._pushed, record))

    def _first(self, partition: int | None, span: Event) -> HistoryRecord | None:
        """The record of the partition that was stored first and that the group can't have committed in the span."""
        heap = self._heaps[partition]
        while heap and self._index.deliveries.may_be_committed(self._group, heap[0][2], span):
            heapq.heappop(heap)
        return heap[0][2] if heap else None

    def _held_until(self, partition: int | None, span: Event) -> float:
        """Latest release of a record in flight in the partition, or in any one if it is unknown."""
        held = self._held_anywhere if partition is None else self._held.get(partition)
        return held.below(span.completed) if held is not None else float("-inf")


def _partition(record: HistoryRecord) -> int | None:
    return record.position[0] if record.position is not None else None
