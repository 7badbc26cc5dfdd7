"""Records that don't come, or that nobody published: DELIVER-1, DELIVER-4, PUB-TEXT-1.

A poll that comes up empty proves something only if there was a record that it had to bring: one that was stored
before, is not acknowledged, and lies in a partition with nothing in flight, in a group at rest whose members all
came up empty. `owed` finds these.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.history.consumer_lifetimes import Life
from conformance.history.events import Event, Poll
from conformance.history.index import Reading
from conformance.history.records import Record
from conformance.history.server_parameters import Anomaly


@dataclass(frozen=True)
class Owed:
    """A record that came up in none of the polls, though they were of all members of a group at rest."""

    group: str
    record: Record
    polls: tuple[Poll, ...]
    came_later: bool


def owed(reading: Reading) -> Iterator[Owed]:
    """For each topic of each empty poll at most one record that it, or those before it, had to bring."""
    empty: dict[Life, list[Poll]] = {}
    for poll in sorted(reading.of_kind(Poll), key=lambda poll: poll.completed):
        life = reading.lives.life_at(poll)
        if life is None or not poll.empty:
            continue
        empty.setdefault(life, []).append(poll)
        for topic in life.subscriptions:
            polls = _in_vain(reading, life, topic, empty)
            record = _free(reading, life.group, topic, _span(polls)) if polls else None
            if record is not None:
                later = bool(reading.deliveries.in_group(life.group, record))
                yield Owed(life.group, record, polls, later)


def _in_vain(reading: Reading, life: Life, topic: str, empty: dict[Life, list[Poll]]) -> tuple[Poll, ...]:
    """The latest empty polls of all members that may own partitions of the topic; none if one has none."""
    last = empty[life][-1]
    if not reading.rebalances.settled(life.group, last):
        return ()
    members = reading.lives.perhaps_subscribers(life.group, topic, last)
    if life not in members or any(member not in empty for member in members):
        return ()
    polls = tuple(empty[member][-1] for member in members)
    whole = _span(polls)
    if not reading.rebalances.quiet(life.group, whole, whole):
        return ()
    if not all(reading.lives.certainly_subscribed(member, topic, whole) for member in members):
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


def _free(reading: Reading, group: str, topic: str, moment: Event) -> Record | None:
    """A record of the topic that was free, or behind a free one, during all of the moment."""
    deliveries = reading.deliveries
    for life, poll in reading.unanswered_polls.get(group, ()):
        if poll.invoked < moment.completed and not reading.lives.certainly_gone(life, moment):
            return None
    occupied: set[int | None] = set()
    for delivery in deliveries.of_topic[group, topic]:
        if delivery.poll.invoked < moment.completed and not (
            deliveries.committed_by(group, delivery.record, moment) or deliveries.given_up(delivery, moment)
        ):
            occupied.add(delivery.record.position[0] if delivery.record.position else None)
    if None in occupied:
        return None
    for record in reading.records.of_topic[topic]:
        partition = record.position[0] if record.position else None
        if (
            record.stored_by < moment.invoked
            and not (occupied and (partition is None or partition in occupied))
            and not deliveries.perhaps_committed(group, record, moment)
        ):
            return record
    return None


def _missed(reading: Reading, name: str, clause: str, *, alone: bool, later: bool) -> Iterator[Anomaly]:
    for found in reading.once(owed):
        if (len(found.polls) == 1) is alone and found.came_later is later:
            publish = (found.record.publish,) if found.record.publish is not None else ()
            yield Anomaly(
                name,
                clause,
                f"{found.record} was stored and free in {found.group}, which was at rest; no poll brought it",
                (*publish, *found.polls),
            )


def unseen(reading: Reading) -> Iterator[Anomaly]:
    """The only member of a group comes up empty, and a stored record never comes."""
    return _missed(reading, "unseen", "DELIVER-1", alone=True, later=False)


def stale(reading: Reading) -> Iterator[Anomaly]:
    """The only member of a group comes up empty though a record is there, which comes later."""
    return _missed(reading, "stale", "POLL-OK-1", alone=True, later=True)


def owned_by_none(reading: Reading) -> Iterator[Anomaly]:
    """All members of a group come up empty though a record is there, and no rebalance can be under way."""
    yield from _missed(reading, "owned by none", "REBALANCE-1", alone=False, later=True)
    yield from _missed(reading, "owned by none", "REBALANCE-1", alone=False, later=False)


def phantom(reading: Reading) -> Iterator[Anomaly]:
    """A record comes that was never published, was refused, or had not been sent yet."""
    for delivery in reading.deliveries.all:
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


def changed(reading: Reading) -> Iterator[Anomaly]:
    """A record comes with another key than it was published with."""
    for delivery in reading.deliveries.all:
        publish = delivery.record.publish
        if publish is not None and (delivery.got.key or None) != (publish.key or None):
            yield Anomaly(
                "changed",
                "PUB-TEXT-1",
                f"{delivery.record} was published with key {publish.key!r}, and came with {delivery.got.key!r}",
                (publish, delivery.poll),
            )


def recovered(reading: Reading) -> list[Record]:
    """No anomaly: the records of which no reply came when they were published, and that came."""
    came = {delivery.record for delivery in reading.deliveries.all}
    return [
        record
        for record in reading.records
        if record in came and record.publish is not None and record.publish.status is None
    ]
