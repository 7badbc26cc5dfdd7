"""Checkers of the assignment of partitions and of subscriptions: ASSIGN, POLL-NONE, MEMBER-UNSUBSCRIBE-1."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.history.consumer_lifetimes import ConsumerLifetime, ConsumerLifetimes
from conformance.history.deliveries import RecordDelivery
from conformance.history.events import Event
from conformance.history.index import HistoryIndex
from conformance.history.records import HistoryRecord
from conformance.history.server_parameters import Anomaly

#: All records with one of these lie in one partition: the number of the partition, or the key (PART-KEY-1).
PartitionOrKey = int | str


@dataclass
class StablePeriod:
    """Deliveries of a topic to a group during a period in which no rebalance was under way."""

    group: str
    topic: str
    deliveries: list[RecordDelivery] = field(default_factory=list)

    def span(self) -> Event:
        """The interval from the first to the last delivery."""
        polls = [delivery.poll for delivery in self.deliveries]
        return Event(
            process="",
            invoked=polls[0].invoked,
            completed=max(poll.completed for poll in polls),
            group_time_began=min(poll.group_time_began for poll in polls),
            group_time_ended=max(poll.group_time_ended for poll in polls),
        )


def stable_periods(index: HistoryIndex) -> Iterator[StablePeriod]:
    """The stable periods of all groups.

    A period ends at the first delivery such that a rebalance may have been under way since the first of the period.
    """
    for (group, topic), deliveries in index.deliveries.of_topic.items():
        if not group:
            continue
        period = StablePeriod(group, topic)
        for delivery in deliveries:
            first = period.deliveries[0] if period.deliveries else delivery
            if not index.rebalances.no_rebalance_between(group, first.poll, delivery.poll):
                yield period
                period = StablePeriod(group, topic)
                if not index.rebalances.settled_throughout(group, delivery.poll):
                    continue
            period.deliveries.append(delivery)
        yield period


def _partition_or_key(record: HistoryRecord) -> PartitionOrKey | None:
    return record.position[0] if record.position is not None else record.key


def two_owners_at_once(index: HistoryIndex) -> Iterator[Anomaly]:
    """Two consumers got records of one partition with no rebalance between (ASSIGN-1).

    Anomaly: in a stable period two consumers of a group got records of one partition, or with one key.

    No false alarm: a partition changes its owner in a rebalance only, and none was under way from the start of the
    first poll to the end of the last one.
    """
    for period in index.cached(stable_periods):
        owners: dict[PartitionOrKey, RecordDelivery] = {}
        for delivery in period.deliveries:
            partition_or_key = _partition_or_key(delivery.record)
            if partition_or_key is None:
                continue
            first = owners.setdefault(partition_or_key, delivery)
            if first.consumer != delivery.consumer:
                yield Anomaly(
                    "two owners at once",
                    "ASSIGN-1",
                    f"{first.consumer} and {delivery.consumer} of {period.group} got records of one partition of "
                    f"{period.topic} ({partition_or_key!r}), with no rebalance between",
                    (first.poll, delivery.poll),
                )


def unfair_assignment(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer got records of more partitions than its share with no rebalance between (ASSIGN-2).

    Anomaly: in a stable period a consumer got records of more than ⌈p / m⌉ of the p partitions of a topic, where m
    consumers were subscribed throughout the period.

    No false alarm: assigned numbers differ by one at most, so with m or more members none is above ⌈p / m⌉.
    """
    present: dict[tuple[str, str], _Present] = {}
    for period in index.cached(stable_periods):
        partitions = index.parameters.partitions.get(period.topic)
        if partitions is None or len(period.deliveries) < 2:
            continue
        owned: dict[str, dict[int, RecordDelivery]] = defaultdict(dict)
        for delivery in period.deliveries:
            if delivery.record.position is not None:
                owned[delivery.consumer][delivery.record.position[0]] = delivery
        if max(map(len, owned.values()), default=0) < 2:
            continue
        of_topic = present.setdefault(
            (period.group, period.topic), _Present(index.lifetimes, period.group, period.topic)
        )
        members = of_topic.subscribed_throughout(period.span())
        most = -(-partitions // max(1, len(members)))
        for consumer, partitions_owned in owned.items():
            if len(partitions_owned) > most:
                yield Anomaly(
                    "unfair assignment",
                    "ASSIGN-2",
                    f"{consumer} got records of partitions {sorted(partitions_owned)} of {period.topic}, "
                    f"more than {most} of {partitions}; {', '.join(member.name for member in members)} are subscribed",
                    tuple(delivery.poll for delivery in partitions_owned.values()),
                )


class _Present:
    """Lifetimes of a group that may be subscribed in the next period; periods are asked about in their order."""

    def __init__(self, lifetimes: ConsumerLifetimes, group: str, topic: str) -> None:
        self._lifetimes = lifetimes
        self._topic = topic
        self._coming = sorted(
            (lifetime for lifetime in lifetimes.of_group[group] if topic in lifetime.subscriptions),
            key=lambda lifetime: -lifetime.registration.invoked,
        )
        self._present: list[ConsumerLifetime] = []

    def subscribed_throughout(self, span: Event) -> list[ConsumerLifetime]:
        """The lifetimes that were registered and subscribed at every instant of the span."""
        while self._coming and self._coming[-1].registration.invoked < span.invoked:
            self._present.append(self._coming.pop())
        # One that may have left, or was replaced, before the end of a period is not subscribed in any later one.
        self._present = [lifetime for lifetime in self._present if not _may_be_over(lifetime, span)]
        return [
            lifetime
            for lifetime in self._present
            if self._lifetimes.subscribed_throughout(lifetime, self._topic, span)
        ]


def _may_be_over(lifetime: ConsumerLifetime, span: Event) -> bool:
    """True if the lifetime may have ended before the span did, by a departure, a successor, or a refusal."""
    left = any(end.invoked < span.completed for end in lifetime.first_unregistrations)
    successor = lifetime.successor
    return (
        left
        or lifetime.proved_gone_at < span.invoked
        or (successor is not None and successor.registration.invoked < span.completed)
    )


def delivery_without_subscription(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer got a record of a topic that it was not subscribed to (POLL-NONE-1, MEMBER-UNSUBSCRIBE-1).

    Anomaly: each subscription to the topic that began before the poll ended was followed by an unsubscription, and
    that succeeded before the poll was invoked.

    No false alarm: subscriptions count even without a reply, unsubscriptions only if they succeeded and overlap
    neither the subscription nor the poll.
    """
    for delivery in index.deliveries.all:
        lifetime, topic = delivery.lifetime, delivery.record.topic
        if lifetime is None or index.lifetimes.may_hold_subscription(lifetime, topic, delivery.poll):
            continue
        left = tuple(
            unsubscription
            for unsubscription in lifetime.unsubscriptions.get(topic, ())
            if unsubscription.succeeded and unsubscription.before(delivery.poll)
        )
        yield Anomaly(
            "delivery without subscription",
            "MEMBER-UNSUBSCRIBE-1" if left else "POLL-NONE-1",
            f"{delivery.consumer} got {delivery.record} and is not subscribed to {topic}",
            (*left[-1:], delivery.poll),
        )
