"""Deliveries of a history: who got which record, and bounds on how long it was in flight and when it was committed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from conformance.history.consumer_lifetimes import ConsumerLifetime, ConsumerLifetimes
from conformance.history.events import (
    NEVER,
    Acknowledge,
    ConsumerEvent,
    Event,
    GiveBack,
    Poll,
    PolledRecord,
    Settle,
)
from conformance.history.rebalances import Rebalances
from conformance.history.records import HistoryRecord, HistoryRecords
from conformance.history.server_parameters import ServerParameters


@dataclass(eq=False)
class RecordDelivery:
    """One record in the reply to one poll; `lifetime` is the consumer's, None if it has not tried to register."""

    poll: Poll
    polled: PolledRecord
    record: HistoryRecord
    lifetime: ConsumerLifetime | None

    @property
    def group(self) -> str:
        """The group of the consumer; empty if it has not tried to register."""
        return self.lifetime.group if self.lifetime is not None else ""

    @property
    def consumer(self) -> str:
        """The name of the consumer."""
        return self.poll.consumer


@dataclass(eq=False)
class RecordSettlement:
    """An acknowledgement or a negative one, with the deliveries that it may settle.

    `candidates` is empty if the consumer never got a record under that id.
    """

    event: Settle
    lifetime: ConsumerLifetime | None
    candidates: list[RecordDelivery] = field(default_factory=list)

    @property
    def record(self) -> HistoryRecord | None:
        """The record that it settles; None unless all candidates are deliveries of one record."""
        records = {id(delivery.record): delivery.record for delivery in self.candidates}
        return next(iter(records.values())) if len(records) == 1 else None


class RecordDeliveries:
    """All deliveries and settlements of a history."""

    def __init__(
        self,
        events: Iterable[Event],
        lifetimes: ConsumerLifetimes,
        rebalances: Rebalances,
        records: HistoryRecords,
        *,
        parameters: ServerParameters,
    ) -> None:
        self._frees = parameters.frees
        self._timeout = parameters.acknowledgement_timeout
        self._lifetimes = lifetimes
        self._rebalances = rebalances
        self.all: list[RecordDelivery] = []
        self.of_record: dict[tuple[str, HistoryRecord], list[RecordDelivery]] = defaultdict(list)
        self.of_consumer: dict[str, list[RecordDelivery]] = defaultdict(list)
        self.of_topic: dict[tuple[str, str], list[RecordDelivery]] = defaultdict(list)
        #: Lowest offset delivered, by group, topic and partition.
        self.lowest: dict[tuple[str, str, int], int] = {}
        self.of_id: dict[int | str, list[RecordDelivery]] = defaultdict(list)
        self.settlements: list[RecordSettlement] = []
        self._settled: dict[RecordDelivery, list[RecordSettlement]] = defaultdict(list)
        self._first_attempt: dict[tuple[str, HistoryRecord], Acknowledge] = {}
        self._first_commit: dict[tuple[str, HistoryRecord], Acknowledge] = {}
        self._attempts: dict[HistoryRecord, dict[str, float]] = defaultdict(dict)
        ordered = sorted(events, key=lambda event: event.invoked)
        for event in ordered:
            if isinstance(event, Poll):
                for polled in event.records:
                    self._add(
                        RecordDelivery(event, polled, records.find(polled), lifetimes.lifetime_at(event))
                    )
        for event in ordered:
            if isinstance(event, Settle):
                self._match(RecordSettlement(event, lifetimes.lifetime_at(event)))

    def _add(self, delivery: RecordDelivery) -> None:
        self.all.append(delivery)
        self.of_record[delivery.group, delivery.record].append(delivery)
        self.of_consumer[delivery.consumer].append(delivery)
        self.of_topic[delivery.group, delivery.record.topic].append(delivery)
        self.of_id[delivery.polled.message_id].append(delivery)
        if delivery.record.position is not None:
            partition, offset = delivery.record.position
            place = delivery.group, delivery.record.topic, partition
            self.lowest[place] = min(offset, self.lowest.get(place, offset))

    def _match(self, settlement: RecordSettlement) -> None:
        """Find the candidates: the consumer's latest delivery under the id, and those whose polls overlap."""
        event = settlement.event
        same = [
            delivery
            for delivery in self.of_consumer.get(event.consumer, ())
            if delivery.polled.message_id == event.message_id and delivery.poll.invoked < event.completed
        ]
        earlier = [delivery for delivery in same if delivery.poll.before(event)]
        settlement.candidates = [delivery for delivery in same if not delivery.poll.before(event)]
        settlement.candidates += earlier[-1:]
        self.settlements.append(settlement)
        for delivery in same:
            self._settled[delivery].append(settlement)
            if isinstance(event, Acknowledge) and event.possible:
                self._note_acknowledgement(
                    delivery, event, certain=event.succeeded and settlement.record is delivery.record
                )

    def _note_acknowledgement(self, delivery: RecordDelivery, event: Acknowledge, *, certain: bool) -> None:
        """Keep the first acknowledgement that may have committed the record, and the first that must have."""
        key = delivery.group, delivery.record
        if key not in self._first_attempt or event.invoked < self._first_attempt[key].invoked:
            self._first_attempt[key] = event
            self._attempts[delivery.record][delivery.group] = event.invoked
        if certain and (key not in self._first_commit or event.completed < self._first_commit[key].completed):
            self._first_commit[key] = event

    def in_group(self, group: str, record: HistoryRecord) -> list[RecordDelivery]:
        """The deliveries of a record in a group, in the order of their polls' invocations."""
        return self.of_record.get((group, record), [])

    def settlements_of(self, delivery: RecordDelivery) -> Iterator[RecordSettlement]:
        """The consumer's settlements of the delivery's message id that may have come after the delivery."""
        return (
            settlement
            for settlement in self._settled.get(delivery, ())
            if settlement.event.completed > delivery.poll.invoked
        )

    # In flight

    def may_be_released(self, delivery: RecordDelivery, interval: Event) -> bool:
        """True if the record may have ceased to be in flight before the interval ended, committed or not."""
        return self.may_be_redeliverable(delivery, interval) or any(
            settlement.event is not interval
            and settlement.event.possible
            and settlement.event.invoked < interval.completed
            for settlement in self.settlements_of(delivery)
        )

    def may_be_redeliverable(self, delivery: RecordDelivery, interval: Event) -> bool:
        """True if the record may have ceased to be in flight, uncommitted, before the interval ended.

        The causes are those of the text: the consumer gave the record back, unsubscribed, left or was evicted, or a
        rebalance revoked the record (NACK-OK-1, DELIVER-2, REBALANCE-5). Other systems may have a timeout for
        acknowledgements.
        """
        poll, lifetime = delivery.poll, delivery.lifetime
        if lifetime is None or interval.group_time_ended >= poll.group_time_began + self._timeout:
            return True
        for settlement in self.settlements_of(delivery):
            event = settlement.event
            if isinstance(event, GiveBack) and event.possible and event.invoked < interval.completed:
                return True
        for unsubscription in lifetime.unsubscriptions.get(delivery.record.topic, ()):
            if unsubscription.completed > poll.invoked and unsubscription.invoked < interval.completed:
                return True
        # A consumer that is served in the same lifetime was not evicted before.
        same_lifetime = (
            lifetime.unambiguous
            and isinstance(interval, ConsumerEvent)
            and interval.succeeded
            and self._lifetimes.lifetime_at(interval) is lifetime
        )
        if not same_lifetime and not self._lifetimes.registered_throughout(lifetime, interval):
            return True
        return self._rebalances.may_have_revoked(delivery.group, poll, interval)

    def in_flight_throughout(self, delivery: RecordDelivery, interval: Event) -> bool:
        """True if the record was in flight at every instant of the interval."""
        return delivery.poll.before(interval) and not self.may_be_released(delivery, interval)

    def must_be_released(self, delivery: RecordDelivery, interval: Event) -> bool:
        """True if the record had ceased to be in flight, uncommitted by this delivery, before the interval began."""
        lifetime = delivery.lifetime
        if lifetime is None:
            return False
        returned = any(
            isinstance(settlement.event, GiveBack)
            and settlement.event.succeeded
            and settlement.event.before(interval)
            and delivery.poll.before(settlement.event)
            for settlement in self.settlements_of(delivery)
        )
        left = any(
            unsubscription.succeeded
            and delivery.poll.before(unsubscription)
            and unsubscription.before(interval)
            for unsubscription in lifetime.unsubscriptions.get(delivery.record.topic, ())
        )
        return returned or left or self._lifetimes.must_be_gone(lifetime, interval)

    # Committed

    def may_be_committed(self, group: str, record: HistoryRecord, interval: Event) -> bool:
        """True if the group may have committed the record before the interval ended, or never had it."""
        first = self._first_attempt.get((group, record))
        return (first is not None and first.invoked < interval.completed) or self.may_be_gone(group, record)

    def may_be_gone(self, group: str, record: HistoryRecord) -> bool:
        """True if another group may have committed the record before this one read its topic (RETENTION-START-1).

        The server may have freed it then. From the reply to its first subscription on, a group keeps what it has not
        committed (RETENTION-KEEP-1).
        """
        if not self._frees:
            return False
        began = self._lifetimes.first_subscription(group, record.topic)
        return any(when < began for other, when in self._attempts.get(record, {}).items() if other != group)

    def may_have_started_behind(self, group: str, record: HistoryRecord) -> bool:
        """True if the record may be older than the group, which got only later records of its partition."""
        if record.position is None or record.publish is None:
            return False
        partition, offset = record.position
        lowest = self.lowest.get((group, record.topic, partition), -1)
        began = self._lifetimes.first_subscription(group, record.topic)
        return offset < lowest and record.publish.invoked < began < NEVER

    def commit_before(self, group: str, record: HistoryRecord, interval: Event) -> Acknowledge | None:
        """An acknowledgement that must have committed the record before the interval began; None if there is none."""
        first = self._first_commit.get((group, record))
        return first if first is not None and first.before(interval) else None
