"""Records that don't come, or that nobody published: DELIVER-1, DELIVER-4, PUB-TEXT-1.

A poll that comes up empty proves something only if there was a record that it had to bring: one that was stored
before, is not acknowledged, and lies in a partition with nothing in flight, in a group at rest whose members all
came up empty. `owed` finds these.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.history.consumer_lifetimes import ConsumerLifetime
from conformance.history.events import Event, Poll
from conformance.history.index import HistoryIndex
from conformance.history.records import HistoryRecord
from conformance.history.server_parameters import Anomaly


@dataclass(frozen=True)
class OwedRecord:
    """A record that came up in none of the polls, though they were of all members of a group at rest."""

    group: str
    record: HistoryRecord
    polls: tuple[Poll, ...]
    came_later: bool


def owed(index: HistoryIndex) -> Iterator[OwedRecord]:
    """For each topic of each empty poll at most one record that it, or those before it, had to bring."""
    empty: dict[ConsumerLifetime, list[Poll]] = {}
    for poll in sorted(index.of_type(Poll), key=lambda poll: poll.completed):
        lifetime = index.lifetimes.lifetime_at(poll)
        if lifetime is None or not poll.empty:
            continue
        empty.setdefault(lifetime, []).append(poll)
        for topic in lifetime.subscriptions:
            polls = _empty_polls_of_all_members(index, lifetime, topic, empty)
            record = _owed_record(index, lifetime.group, topic, _span(polls)) if polls else None
            if record is not None:
                later = bool(index.deliveries.in_group(lifetime.group, record))
                yield OwedRecord(lifetime.group, record, polls, later)


def _empty_polls_of_all_members(
    index: HistoryIndex, lifetime: ConsumerLifetime, topic: str, empty: dict[ConsumerLifetime, list[Poll]]
) -> tuple[Poll, ...]:
    """The latest empty polls of all members that may own partitions of the topic; none if one has none."""
    last = empty[lifetime][-1]
    if not index.rebalances.settled_throughout(lifetime.group, last):
        return ()
    members = index.lifetimes.possible_subscribers(lifetime.group, topic, last)
    if lifetime not in members or any(member not in empty for member in members):
        return ()
    polls = tuple(empty[member][-1] for member in members)
    whole = _span(polls)
    if not index.rebalances.no_rebalance_between(lifetime.group, whole, whole):
        return ()
    if not all(index.lifetimes.subscribed_throughout(member, topic, whole) for member in members):
        return ()
    return polls


def _span(polls: tuple[Poll, ...]) -> Event:
    """The moment from the beginning of the first to the end of the last."""
    return Event(
        process="",
        invoked=min(poll.invoked for poll in polls),
        completed=max(poll.completed for poll in polls),
        group_time_began=min(poll.group_time_began for poll in polls),
        group_time_ended=max(poll.group_time_ended for poll in polls),
    )


def _owed_record(index: HistoryIndex, group: str, topic: str, interval: Event) -> HistoryRecord | None:
    """A record of the topic that was free, or behind a free one, during all of the moment."""
    deliveries = index.deliveries
    for lifetime, poll in index.unanswered_polls.get(group, ()):
        if poll.invoked < interval.completed and not index.lifetimes.must_be_gone(lifetime, interval):
            return None
    occupied: set[int | None] = set()
    for delivery in deliveries.of_topic[group, topic]:
        if delivery.poll.invoked < interval.completed and not (
            deliveries.commit_before(group, delivery.record, interval)
            or deliveries.must_be_released(delivery, interval)
        ):
            occupied.add(delivery.record.position[0] if delivery.record.position else None)
    if None in occupied:
        return None
    for record in index.records.of_topic[topic]:
        partition = record.position[0] if record.position else None
        if (
            record.stored_by < interval.invoked
            and not (occupied and (partition is None or partition in occupied))
            and not deliveries.may_be_committed(group, record, interval)
        ):
            return record
    return None


def _owed_anomalies(
    index: HistoryIndex, name: str, clause: str, *, alone: bool, later: bool
) -> Iterator[Anomaly]:
    for found in index.cached(owed):
        if (len(found.polls) == 1) is alone and found.came_later is later:
            publish = (found.record.publish,) if found.record.publish is not None else ()
            yield Anomaly(
                name,
                clause,
                f"{found.record} was stored and free in {found.group}, which was at rest; no poll brought it",
                (*publish, *found.polls),
            )


def unseen(index: HistoryIndex) -> Iterator[Anomaly]:
    """The only member of a group comes up empty, and a stored record never comes."""
    return _owed_anomalies(index, "unseen", "DELIVER-1", alone=True, later=False)


def stale(index: HistoryIndex) -> Iterator[Anomaly]:
    """The only member of a group comes up empty though a record is there, which comes later."""
    return _owed_anomalies(index, "stale", "POLL-OK-1", alone=True, later=True)


def owned_by_none(index: HistoryIndex) -> Iterator[Anomaly]:
    """All members of a group come up empty though a record is there, and no rebalance can be under way."""
    yield from _owed_anomalies(index, "owned by none", "REBALANCE-1", alone=False, later=True)
    yield from _owed_anomalies(index, "owned by none", "REBALANCE-1", alone=False, later=False)


def phantom(index: HistoryIndex) -> Iterator[Anomaly]:
    """A record comes that was never published, was refused, or had not been sent yet."""
    for delivery in index.deliveries.all:
        publish = delivery.record.publish
        if publish is None:
            message, clause = "nobody published", "DELIVER-4"
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
    """A record comes with another key than it was published with."""
    for delivery in index.deliveries.all:
        publish = delivery.record.publish
        if publish is not None and (delivery.polled.key or None) != (publish.key or None):
            yield Anomaly(
                "changed",
                "PUB-TEXT-1",
                f"{delivery.record} was published with key {publish.key!r}, and came with {delivery.polled.key!r}",
                (publish, delivery.poll),
            )


def recovered(index: HistoryIndex) -> list[HistoryRecord]:
    """No anomaly: the records of which no reply came when they were published, and that came."""
    came = {delivery.record for delivery in index.deliveries.all}
    return [
        record
        for record in index.records
        if record in came and record.publish is not None and record.publish.status is None
    ]
