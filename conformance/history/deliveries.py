"""Deliveries of a history: who got which record, and bounds on how long it was in flight and when it was committed."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

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
from conformance.history.extremes import NONE, LargestBelow
from conformance.history.rebalances import Rebalances
from conformance.history.records import HistoryRecord, HistoryRecords
from conformance.history.server_parameters import ServerParameters

#: Deliveries under one id that are looked at for one settlement; more can't be told apart.
MOST_CANDIDATES = 16
#: Settlements of one id whose times are computed anew each time: in a long history most ids have one.
FEW = 4


def _poll_invoked(delivery: "RecordDelivery") -> float:
    return delivery.poll.invoked


@dataclass(eq=False, slots=True)
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


@dataclass(eq=False, slots=True)
class RecordSettlement:
    """An acknowledgement or a negative one, with the deliveries that it may settle.

    `candidates` is empty if the consumer never got a record under that id, or if no reply came; it holds at most
    `MOST_CANDIDATES`. `record` is the one that it settles; None unless all candidates are deliveries of one record.
    """

    event: Settle
    lifetime: ConsumerLifetime | None
    candidates: Sequence[RecordDelivery] = ()
    record: HistoryRecord | None = None


class IdUse:
    """Deliveries and settlements of one consumer under one message id, in the order of their invocations."""

    __slots__ = ("_times", "deliveries", "settlements")

    def __init__(self) -> None:
        self.deliveries: list[RecordDelivery] = []
        self.settlements: list[Settle] = []
        self._times: dict[str, LargestBelow[Settle]] | None = None

    def _of(self, kind: str) -> LargestBelow[Settle]:
        """Times of the settlements of a kind; computed after the last one was added, and kept if there are many."""
        if len(self.settlements) <= FEW:
            return LargestBelow(_SETTLEMENT_TIMES[kind](self.settlements))
        if self._times is None:
            self._times = {}
        found = self._times.get(kind)
        if found is None:
            found = self._times[kind] = LargestBelow(_SETTLEMENT_TIMES[kind](self.settlements))
        return found

    def may_be_settled(self, poll: Poll, interval: Event) -> bool:
        """True if a settlement may have been carried out after the poll began and before the interval ended."""
        return bool(self.settlements) and self._of("possible").below(interval.completed) > poll.invoked

    def may_be_given_back(self, poll: Poll, interval: Event) -> bool:
        """True if a negative acknowledgement may have been."""
        return bool(self.settlements) and self._of("given back").below(interval.completed) > poll.invoked

    def must_be_given_back(self, poll: Poll, interval: Event) -> bool:
        """True if a negative acknowledgement succeeded between the poll and the interval."""
        return (
            bool(self.settlements) and self._of("surely given back").below(interval.invoked) > poll.completed
        )

    def was_given_back(self, poll: Poll) -> bool:
        """True if a negative acknowledgement succeeded that ended after the poll began."""
        latest = max((one.completed for one in self._done(GiveBack)), default=NONE)
        return latest > poll.invoked

    def first_return(self, poll: Poll) -> float:
        """End of the first negative acknowledgement that succeeded after the poll; infinite if there is none."""
        return -self._of("returned").below(-poll.completed) if self.settlements else NEVER

    def first_return_event(self, poll: Poll) -> Settle | None:
        """The negative acknowledgement after the poll that succeeded first; None if there is none."""
        return self._of("returned").item_below(-poll.completed) if self.settlements else None

    def first_acknowledgement(self, poll: Poll) -> Settle | None:
        """The acknowledgement after the poll that succeeded first; None if there is none."""
        return self._of("acknowledged").item_below(-poll.completed)

    def _done(self, kind: type[Settle]) -> Iterator[Settle]:
        return (one for one in self.settlements if isinstance(one, kind) and one.succeeded)


_Entries = Iterator[tuple[float, float, Settle]]
_SETTLEMENT_TIMES: dict[str, Callable[[list[Settle]], _Entries]] = {
    # Latest end, by the beginning.
    "possible": lambda all_: ((one.invoked, one.completed, one) for one in all_ if one.possible),
    "given back": lambda all_: (
        (one.invoked, one.completed, one) for one in all_ if one.possible and isinstance(one, GiveBack)
    ),
    # Latest beginning, by the end.
    "surely given back": lambda all_: (
        (one.completed, one.invoked, one) for one in all_ if one.succeeded and isinstance(one, GiveBack)
    ),
    # Earliest end, by the beginning, both with the sign turned.
    "returned": lambda all_: (
        (-one.invoked, -one.completed, one) for one in all_ if one.succeeded and isinstance(one, GiveBack)
    ),
    "acknowledged": lambda all_: (
        (-one.invoked, -one.completed, one) for one in all_ if one.succeeded and isinstance(one, Acknowledge)
    ),
}


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
        self._starts_at_newest = parameters.starts_at_newest
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
        self._uses: dict[tuple[str, int | str], IdUse] = defaultdict(IdUse)
        self._first_attempt: dict[tuple[str, HistoryRecord], Acknowledge] = {}
        self._first_commit: dict[tuple[str, HistoryRecord], Acknowledge] = {}
        #: The first refused acknowledgement of each record in each group.
        self._first_refused: dict[tuple[str, HistoryRecord], RecordSettlement] = {}
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
        for use in self._uses.values():
            if use.settlements:
                self._note_attempts(use)

    def _add(self, delivery: RecordDelivery) -> None:
        self.all.append(delivery)
        self.of_record[delivery.group, delivery.record].append(delivery)
        self.of_consumer[delivery.consumer].append(delivery)
        self.of_topic[delivery.group, delivery.record.topic].append(delivery)
        self.of_id[delivery.polled.message_id].append(delivery)
        self._uses[delivery.consumer, delivery.polled.message_id].deliveries.append(delivery)
        if delivery.record.position is not None:
            partition, offset = delivery.record.position
            place = delivery.group, delivery.record.topic, partition
            self.lowest[place] = min(offset, self.lowest.get(place, offset))

    def _match(self, settlement: RecordSettlement) -> None:
        """Find the candidates: the consumer's latest delivery under the id, and those whose polls overlap."""
        event = settlement.event
        self.settlements.append(settlement)
        use = self._uses[event.consumer, event.message_id]
        use.settlements.append(event)
        if event.status is None:
            return
        end = bisect_left(use.deliveries, event.completed, key=_poll_invoked)
        candidates: list[RecordDelivery] = []
        earlier: RecordDelivery | None = None
        for number in range(end - 1, max(-1, end - 1 - MOST_CANDIDATES), -1):
            delivery = use.deliveries[number]
            if not delivery.poll.before(event):
                candidates.append(delivery)
            elif earlier is None:
                earlier = delivery
        candidates.reverse()
        if earlier is not None:
            candidates.append(earlier)
        settlement.candidates = tuple(candidates)
        if candidates and (end <= MOST_CANDIDATES or earlier is not None):
            first = candidates[0].record
            settlement.record = first if all(one.record is first for one in candidates) else None
        self._note(settlement)

    def _note(self, settlement: RecordSettlement) -> None:
        """Keep what an answered settlement shows of its record."""
        event = settlement.event
        if not isinstance(event, Acknowledge):
            return
        if event.refused:
            self._note_refused(settlement)
        elif event.succeeded and settlement.record is not None:
            for group in {one.group for one in settlement.candidates}:
                key = group, settlement.record
                if key not in self._first_commit or event.completed < self._first_commit[key].completed:
                    self._first_commit[key] = event

    def _note_refused(self, settlement: RecordSettlement) -> None:
        """Keep the first refused acknowledgement of each record that it may be about."""
        for delivery in settlement.candidates:
            self._first_refused.setdefault((delivery.group, delivery.record), settlement)

    def _note_attempts(self, use: IdUse) -> None:
        """Keep the first acknowledgement that may have committed each record that was delivered under the id."""
        # Earliest beginning, by the end, both with the sign turned: of those that ended after a poll began.
        attempts = LargestBelow(
            (-one.completed, -one.invoked, one)
            for one in use.settlements
            if isinstance(one, Acknowledge) and one.possible
        )
        for delivery in use.deliveries:
            event = attempts.item_below(-delivery.poll.invoked)
            if event is None:
                continue
            key = delivery.group, delivery.record
            if key not in self._first_attempt or event.invoked < self._first_attempt[key].invoked:
                self._first_attempt[key] = event
                if self._frees:
                    self._attempts[delivery.record][delivery.group] = event.invoked

    def in_group(self, group: str, record: HistoryRecord) -> list[RecordDelivery]:
        """The deliveries of a record in a group, in the order of their polls' invocations."""
        return self.of_record.get((group, record), [])

    def use_of(self, delivery: RecordDelivery) -> IdUse:
        """Deliveries and settlements of its consumer under its id."""
        return self._uses[delivery.consumer, delivery.polled.message_id]

    def refused(self, group: str, record: HistoryRecord, before: float) -> RecordSettlement | None:
        """The first refused acknowledgement of a record; None if there is none, or it began later than `before`."""
        found = self._first_refused.get((group, record))
        return found if found is not None and found.event.invoked < before else None

    # In flight

    def may_be_released(self, delivery: RecordDelivery, interval: Event) -> bool:
        """True if the record may have ceased to be in flight before the interval ended, committed or not."""
        return self.may_be_redeliverable(delivery, interval) or self.use_of(delivery).may_be_settled(
            delivery.poll, interval
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
        if self.use_of(delivery).may_be_given_back(poll, interval):
            return True
        topic = delivery.record.topic
        if topic in lifetime.unsubscriptions:
            unsubscribed = lifetime.topic_times(topic).unsubscribed.below(interval.completed)
            if unsubscribed > poll.invoked:
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
        lifetime, topic = delivery.lifetime, delivery.record.topic
        if lifetime is None:
            return False
        if self.use_of(delivery).must_be_given_back(delivery.poll, interval):
            return True
        if topic in lifetime.unsubscriptions:
            left = lifetime.topic_times(topic).surely_unsubscribed.below(interval.invoked)
            if left > delivery.poll.completed:
                return True
        return self._lifetimes.must_be_gone(lifetime, interval)

    # Committed

    def may_be_committed(self, group: str, record: HistoryRecord, interval: Event) -> bool:
        """True if the group may have committed the record before the interval ended, or never had it."""
        first = self._first_attempt.get((group, record))
        return (first is not None and first.invoked < interval.completed) or self.may_be_gone(group, record)

    def may_be_gone(self, group: str, record: HistoryRecord) -> bool:
        """True if another group may have committed the record before this one read its topic (RETENTION-START-1).

        The server may have freed it then. A system that starts new groups with the next record may have stored it
        before, whoever committed it. From the reply to its first subscription on, a group keeps what it has not
        committed (RETENTION-KEEP-1).
        """
        if not self._frees and not self._starts_at_newest:
            return False
        began = self._lifetimes.first_subscription(group, record.topic)
        if self._starts_at_newest and record.publish is not None and record.publish.invoked < began:
            return True
        return any(when < began for other, when in self._attempts.get(record, {}).items() if other != group)

    def may_have_started_behind(self, group: str, record: HistoryRecord) -> bool:
        """True if the record may be older than the group, which got only later records of its partition."""
        if record.position is None or record.publish is None:
            return False
        partition, offset = record.position
        lowest = self.lowest.get((group, record.topic, partition), -1)
        began = self._lifetimes.first_subscription(group, record.topic)
        return offset < lowest and record.publish.invoked < began < NEVER

    def first_attempt(self, group: str, record: HistoryRecord) -> float:
        """Beginning of the first acknowledgement that may have committed the record; infinite if there is none."""
        first = self._first_attempt.get((group, record))
        return first.invoked if first is not None else NEVER

    def first_commit(self, group: str, record: HistoryRecord) -> float:
        """End of the first acknowledgement that must have committed the record; infinite if there is none."""
        first = self._first_commit.get((group, record))
        return first.completed if first is not None else NEVER

    def commit_before(self, group: str, record: HistoryRecord, interval: Event) -> Acknowledge | None:
        """An acknowledgement that must have committed the record before the interval began; None if there is none."""
        first = self._first_commit.get((group, record))
        return first if first is not None and first.before(interval) else None
