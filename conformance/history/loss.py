"""Checkers of records that are missing, late, invented or changed: DELIVER-*, POLL-OK-1, PUB-TEXT-1."""

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.history.consumer_lifetimes import ConsumerLifetime
from conformance.history.events import Event, GiveBack, Poll
from conformance.history.index import HistoryIndex
from conformance.history.records import HistoryRecord
from conformance.history.server_parameters import Anomaly


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
                came_later = bool(index.deliveries.in_group(lifetime.group, record))
                yield OwedRecord(lifetime.group, record, polls, came_later)


def _empty_polls_of_all_members(
    index: HistoryIndex,
    lifetime: ConsumerLifetime,
    topic: str,
    empty: dict[ConsumerLifetime, list[Poll]],
) -> tuple[Poll, ...]:
    """The latest empty polls of all possible subscribers, by condition 1 of `owed`; () if it does not hold."""
    last = empty[lifetime][-1]
    if not index.rebalances.settled_throughout(lifetime.group, last):
        return ()
    members = index.lifetimes.possible_subscribers(lifetime.group, topic, last)
    if lifetime not in members or any(member not in empty for member in members):
        return ()
    polls = tuple(empty[member][-1] for member in members)
    span = _span(polls)
    if not index.rebalances.settled_throughout(lifetime.group, span):
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


def _owed_record(index: HistoryIndex, group: str, topic: str, span: Event) -> HistoryRecord | None:
    """A record of the topic for which conditions 2 and 3 of `owed` hold; None if there is none."""
    deliveries = index.deliveries
    for lifetime, poll in index.unanswered_polls.get(group, ()):
        if poll.invoked < span.completed and not index.lifetimes.must_be_gone(lifetime, span):
            return None
    occupied: set[int | None] = set()
    for delivery in deliveries.of_topic[group, topic]:
        if delivery.poll.invoked < span.completed and not (
            deliveries.commit_before(group, delivery.record, span)
            or deliveries.must_be_released(delivery, span)
        ):
            occupied.add(delivery.record.position[0] if delivery.record.position else None)
    if None in occupied:
        return None
    for record in index.records.of_topic[topic]:
        partition = record.position[0] if record.position else None
        if (
            record.stored_by < span.invoked
            and not (occupied and (partition is None or partition in occupied))
            and not deliveries.may_be_committed(group, record, span)
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
                _clause_of_release(index, found) if alone and later else clause,
                f"{found.record} was stored and free in the settled group {found.group}; no poll returned it",
                (*publish, *found.polls),
            )


def _clause_of_release(index: HistoryIndex, found: OwedRecord) -> str:
    """The clause that asks for an owed record once more if it was delivered before the poll of the only member.

    Otherwise POLL-FAIR-1 if the member held another record throughout that poll, or else POLL-OK-1.
    """
    deliveries = index.deliveries
    earlier = [
        delivery
        for delivery in deliveries.in_group(found.group, found.record)
        if delivery.poll.before(found.polls[0])
    ]
    if not earlier:
        held = deliveries.of_consumer[found.polls[0].consumer]
        is_holding = any(deliveries.in_flight_throughout(delivery, found.polls[0]) for delivery in held)
        return "POLL-FAIR-1" if is_holding else "POLL-OK-1"
    settled = deliveries.settlements_of(earlier[-1])
    is_given_back = any(
        isinstance(settlement.event, GiveBack) and settlement.event.succeeded for settlement in settled
    )
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
