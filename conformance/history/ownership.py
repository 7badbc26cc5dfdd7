"""Who may be handed out what: ASSIGN, POLL-NONE."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.history.deliveries import RecordDelivery
from conformance.history.events import Event
from conformance.history.index import HistoryIndex
from conformance.history.records import HistoryRecord
from conformance.history.server_parameters import Anomaly

#: Something that lies in one partition for certain: the number of the partition, or a key.
PartitionOrKey = int | str


@dataclass
class StablePeriod:
    """Deliveries of a topic to a group while no rebalance can have been under way."""

    group: str
    topic: str
    deliveries: list[RecordDelivery] = field(default_factory=list)

    def span(self) -> Event:
        """The moment from the first to the last."""
        polls = [delivery.poll for delivery in self.deliveries]
        return Event(
            process="",
            invoked=polls[0].invoked,
            completed=max(poll.completed for poll in polls),
            group_time_began=min(poll.group_time_began for poll in polls),
            group_time_ended=max(poll.group_time_ended for poll in polls),
        )


def stable_periods(index: HistoryIndex) -> Iterator[StablePeriod]:
    """The times of rest of all groups, as long as they last."""
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
    """Two consumers get records of one partition, and no rebalance can have been between."""
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
    """A consumer gets records of more partitions than its share, and no rebalance can have been between."""
    for period in index.cached(stable_periods):
        partitions = index.parameters.partitions.get(period.topic)
        if partitions is None or not period.deliveries:
            continue
        span = period.span()
        lifetimes = index.lifetimes.of_group[period.group]
        members = [
            lifetime
            for lifetime in lifetimes
            if index.lifetimes.subscribed_throughout(lifetime, period.topic, span)
        ]
        owned: dict[str, dict[int, RecordDelivery]] = defaultdict(dict)
        for delivery in period.deliveries:
            if delivery.record.position is not None:
                owned[delivery.consumer][delivery.record.position[0]] = delivery
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


def delivery_without_subscription(index: HistoryIndex) -> Iterator[Anomaly]:
    """A consumer gets a record of a topic that it never subscribed to, or has given up."""
    for delivery in index.deliveries.all:
        lifetime, topic = delivery.lifetime, delivery.record.topic
        if lifetime is None or index.lifetimes.may_hold_subscription(lifetime, topic, delivery.poll):
            continue
        left = tuple(
            departure
            for departure in lifetime.unsubscriptions.get(topic, ())
            if departure.succeeded and departure.before(delivery.poll)
        )
        yield Anomaly(
            "delivery without subscription",
            "MEMBER-UNSUBSCRIBE-1" if left else "POLL-NONE-1",
            f"{delivery.consumer} got {delivery.record} and is not subscribed to {topic}",
            (*left[-1:], delivery.poll),
        )
