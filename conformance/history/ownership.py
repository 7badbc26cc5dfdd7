"""Who may be handed out what: ASSIGN, POLL-NONE."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.history.deliveries import Delivery
from conformance.history.events import Event
from conformance.history.index import Reading
from conformance.history.records import Record
from conformance.history.server_parameters import Anomaly

#: Something that lies in one partition for certain: the number of the partition, or a key.
Place = int | str


@dataclass
class Rest:
    """Deliveries of a topic to a group while no rebalance can have been under way."""

    group: str
    topic: str
    deliveries: list[Delivery] = field(default_factory=list)

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


def rests(reading: Reading) -> Iterator[Rest]:
    """The times of rest of all groups, as long as they last."""
    for (group, topic), deliveries in reading.deliveries.of_topic.items():
        if not group:
            continue
        rest = Rest(group, topic)
        for delivery in deliveries:
            first = rest.deliveries[0] if rest.deliveries else delivery
            if not reading.rebalances.quiet(group, first.poll, delivery.poll):
                yield rest
                rest = Rest(group, topic)
                if not reading.rebalances.settled(group, delivery.poll):
                    continue
            rest.deliveries.append(delivery)
        yield rest


def _place(record: Record) -> Place | None:
    return record.position[0] if record.position is not None else record.key


def two_owners_at_once(reading: Reading) -> Iterator[Anomaly]:
    """Two consumers get records of one partition, and no rebalance can have been between."""
    for rest in reading.once(rests):
        owners: dict[Place, Delivery] = {}
        for delivery in rest.deliveries:
            place = _place(delivery.record)
            if place is None:
                continue
            first = owners.setdefault(place, delivery)
            if first.consumer != delivery.consumer:
                yield Anomaly(
                    "two owners at once",
                    "ASSIGN-1",
                    f"{first.consumer} and {delivery.consumer} of {rest.group} got records of one partition of "
                    f"{rest.topic} ({place!r}), with no rebalance between",
                    (first.poll, delivery.poll),
                )


def unfair_assignment(reading: Reading) -> Iterator[Anomaly]:
    """A consumer gets records of more partitions than its share, and no rebalance can have been between."""
    for rest in reading.once(rests):
        partitions = reading.facts.partitions.get(rest.topic)
        if partitions is None or not rest.deliveries:
            continue
        span = rest.span()
        lives = reading.lives.of_group[rest.group]
        members = [life for life in lives if reading.lives.certainly_subscribed(life, rest.topic, span)]
        owned: dict[str, dict[int, Delivery]] = defaultdict(dict)
        for delivery in rest.deliveries:
            if delivery.record.position is not None:
                owned[delivery.consumer][delivery.record.position[0]] = delivery
        most = -(-partitions // max(1, len(members)))
        for consumer, places in owned.items():
            if len(places) > most:
                yield Anomaly(
                    "unfair assignment",
                    "ASSIGN-2",
                    f"{consumer} got records of partitions {sorted(places)} of {rest.topic}, more than {most} of "
                    f"{partitions}; {', '.join(life.name for life in members)} are subscribed",
                    tuple(delivery.poll for delivery in places.values()),
                )


def delivery_without_subscription(reading: Reading) -> Iterator[Anomaly]:
    """A consumer gets a record of a topic that it never subscribed to, or has given up."""
    for delivery in reading.deliveries.all:
        life, topic = delivery.life, delivery.record.topic
        if life is None or reading.lives.perhaps_listed(life, topic, delivery.poll):
            continue
        left = tuple(
            departure
            for departure in life.departures.get(topic, ())
            if departure.succeeded and departure.before(delivery.poll)
        )
        yield Anomaly(
            "delivery without subscription",
            "MEMBER-UNSUBSCRIBE-1" if left else "POLL-NONE-1",
            f"{delivery.consumer} got {delivery.record} and is not subscribed to {topic}",
            (*left[-1:], delivery.poll),
        )
