"""Consumer lifetimes derived from a history: bounds on when each consumer was registered and subscribed.

A *lifetime* lasts from a registration to an eviction or an unregistration; a name may have several, one after
another. Questions are asked about an interval, given as an event. An answer with *must* or *throughout* holds at
whichever instant of the interval the server carried the event out; one with *may* holds if some instant is possible.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from conformance.history.events import (
    NEVER,
    ConsumerEvent,
    Event,
    Heartbeat,
    Poll,
    Register,
    Subscribe,
    Unregister,
    Unsubscribe,
)
from conformance.history.extremes import NONE as NEVER_YET
from conformance.history.extremes import LargestBelow
from conformance.history.server_parameters import ServerParameters


class TopicTimes:
    """Times of the subscriptions and unsubscriptions of one topic in one lifetime, those that were not refused."""

    def __init__(self, subscriptions: list[Subscribe], unsubscriptions: list[Unsubscribe]) -> None:
        done = [one for one in unsubscriptions if one.succeeded]
        #: Latest end of a subscription, by its beginning.
        self.subscribed = LargestBelow((one.invoked, one.completed, one) for one in subscriptions)
        #: Latest beginning of a subscription that succeeded, by its end.
        self.surely_subscribed = LargestBelow(
            (one.completed, one.invoked, one) for one in subscriptions if one.succeeded
        )
        #: Latest end of an unsubscription, by its beginning.
        self.unsubscribed = LargestBelow((one.invoked, one.completed, one) for one in unsubscriptions)
        #: Latest beginning of an unsubscription that succeeded, by its end.
        self.surely_unsubscribed = LargestBelow((one.completed, one.invoked, one) for one in done)
        #: Earliest end of an unsubscription that succeeded, by its beginning, both with the sign turned.
        self._departures = LargestBelow((-one.invoked, -one.completed, one) for one in done)

    def first_departure(self, after: Event) -> float:
        """End of the first unsubscription that succeeded after an event; infinite if there is none."""
        return -self._departures.below(-after.completed)


@dataclass(eq=False)
class ConsumerLifetime:
    """One registration of a consumer, and every later event that names it, up to the next registration.

    `unambiguous` is True if the registration succeeded and every earlier event that names the consumer completed
    before it; nothing is concluded about other lifetimes. `events` are in the order of their invocations.
    `signs_of_life` are the events that succeeded. `refusals` are refused heartbeats and polls, which prove that the
    consumer was not registered; client programs poll only while subscribed, because a server may refuse the poll of
    a member without a topic. `unregistrations` and `unsubscriptions` leave out those that were refused.
    """

    name: str
    group: str
    registration: Register
    unambiguous: bool = True
    events: list[ConsumerEvent] = field(default_factory=list)
    signs_of_life: list[ConsumerEvent] = field(default_factory=list)
    unregistrations: list[Unregister] = field(default_factory=list)
    subscriptions: dict[str, list[Subscribe]] = field(default_factory=lambda: defaultdict(list))
    unsubscriptions: dict[str, list[Unsubscribe]] = field(default_factory=lambda: defaultdict(list))
    refusals: list[ConsumerEvent] = field(default_factory=list)
    successor: "ConsumerLifetime | None" = None
    _topic_times: dict[str, TopicTimes] = field(default_factory=dict)

    def topic_times(self, topic: str) -> TopicTimes:
        """Times of the topic; computed once, after the last event was added."""
        found = self._topic_times.get(topic)
        if found is None:
            found = self._topic_times[topic] = TopicTimes(
                self.subscriptions.get(topic, []), self.unsubscriptions.get(topic, [])
            )
        return found

    @cached_property
    def first_unregistrations(self) -> list[Unregister]:
        """The two unregistrations that began first: one of them may be the event that is asked about."""
        return sorted(self.unregistrations, key=lambda end: end.invoked)[:2]

    @cached_property
    def first_end(self) -> Unregister | None:
        """The unregistration that succeeded first; None if none did."""
        ended = [end for end in self.unregistrations if end.succeeded]
        return min(ended, key=lambda end: end.completed, default=None)

    @cached_property
    def first_refusal(self) -> ConsumerEvent | None:
        """The refusal that was over first; None if there is none."""
        return min(self.refusals, key=lambda refusal: refusal.completed, default=None)

    @cached_property
    def signs_by_end(self) -> LargestBelow[ConsumerEvent]:
        """Latest beginning of a sign of life, in seconds of the group's clock, by its end."""
        return LargestBelow((sign.completed, sign.group_time_began, sign) for sign in self.signs_of_life)

    @cached_property
    def latest_sign(self) -> float:
        """Latest end, in seconds of the group's clock, of any event that may have been a sign of life."""
        return max([self.registration.sign_ended, *(event.sign_ended for event in self.events)])

    @cached_property
    def proved_gone_at(self) -> float:
        """Earliest completion of a reply that proves the end of the lifetime, in seconds; infinite if there is none."""
        proofs: list[ConsumerEvent] = [end for end in self.unregistrations if end.succeeded] + self.refusals
        if self.successor is not None and self.successor.registration.succeeded:
            proofs.append(self.successor.registration)
        return min((proof.completed for proof in proofs), default=NEVER)

    def latest_possible_sign(self, interval: Event) -> float:
        """Latest end of any other event that began before `interval` ended and may count as a sign of life.

        In seconds of the group's clock.
        """
        begun, ended = self._latest_ends
        end = bisect_left(begun, interval.completed)
        own = bisect_left(begun, interval.invoked)
        while own < end and begun[own] == interval.invoked:
            if self.events[own] is interval:
                return max([ended[own], *(event.sign_ended for event in self.events[own + 1 : end])])
            own += 1
        return ended[end]

    @cached_property
    def _latest_ends(self) -> tuple[list[float], list[float]]:
        """Invocation of each event, and latest end of the events before each; the last is that of all events."""
        ended = accumulate(
            (event.sign_ended for event in self.events), max, initial=self.registration.sign_ended
        )
        return [event.invoked for event in self.events], list(ended)

    def add(self, event: ConsumerEvent) -> None:
        """Add an event that names the consumer."""
        self.events.append(event)
        if event.succeeded:
            self.signs_of_life.append(event)
        if event.refused and isinstance(event, Heartbeat | Poll) and self.registration.before(event):
            self.refusals.append(event)
        if event.refused:
            return
        if isinstance(event, Unregister):
            self.unregistrations.append(event)
        elif isinstance(event, Subscribe):
            for topic in event.topics:
                self.subscriptions[topic].append(event)
        elif isinstance(event, Unsubscribe):
            for topic in event.topics:
                self.unsubscriptions[topic].append(event)


class ConsumerLifetimes:
    """The lifetimes of all consumers of a history."""

    def __init__(self, events: Iterable[Event], parameters: ServerParameters) -> None:
        self._parameters = parameters
        self._first_subscriptions: dict[tuple[str, str], float] = {}
        self.of_name: dict[str, list[ConsumerLifetime]] = defaultdict(list)
        self.of_group: dict[str, list[ConsumerLifetime]] = defaultdict(list)
        by_consumer: dict[str, list[ConsumerEvent]] = defaultdict(list)
        for event in sorted(events, key=lambda event: event.invoked):
            if isinstance(event, ConsumerEvent):
                by_consumer[event.consumer].append(event)
        for name, of_name in by_consumer.items():
            self._split(name, of_name)

    def _split(self, name: str, events: list[ConsumerEvent]) -> None:
        """Split the events that name a consumer into its lifetimes."""
        lifetimes = self.of_name[name]
        latest = float("-inf")
        for event in events:
            if isinstance(event, Register) and event.possible:
                unambiguous = event.succeeded and latest < event.invoked
                lifetime = ConsumerLifetime(name, event.group, event, unambiguous)
                if lifetimes:
                    lifetimes[-1].successor = lifetime
                lifetimes.append(lifetime)
                self.of_group[event.group].append(lifetime)
                lifetime.signs_of_life.append(event)
            elif lifetimes:
                lifetimes[-1].add(event)
            latest = max(latest, event.completed)

    def lifetime_at(self, event: ConsumerEvent) -> ConsumerLifetime | None:
        """The lifetime that an event belongs to; None if the consumer has not tried to register."""
        lifetimes = self.of_name.get(event.consumer, ())
        count = bisect_right(lifetimes, event.invoked, key=lambda lifetime: lifetime.registration.invoked)
        return lifetimes[count - 1] if count else None

    # Registration

    def registered_throughout(self, lifetime: ConsumerLifetime, interval: Event) -> bool:
        """True if the consumer was registered at every instant of the interval.

        A later success in the same lifetime proves it, and so does a sign of life less than heartbeat_timeout before
        the end of the interval (LIVE-KEEP-1).
        """
        if not lifetime.unambiguous or not lifetime.registration.before(interval):
            return False
        if any(
            one is not interval and one.invoked < interval.completed for one in lifetime.first_unregistrations
        ):
            return False
        if lifetime.successor is not None and lifetime.successor.registration.invoked < interval.completed:
            return False
        # Signs are in the order of their beginnings; one of the last two may be the interval itself.
        if any(
            sign is not interval and sign.invoked >= interval.completed
            for sign in lifetime.signs_of_life[-2:]
        ):
            return True
        latest = lifetime.signs_by_end.below(interval.invoked)
        return interval.group_time_ended < latest + self._parameters.heartbeat_timeout

    def must_be_gone(self, lifetime: ConsumerLifetime, interval: Event) -> bool:
        """True if the registration had ended before the interval began, by a reply or by silence (LIVE-EVICT-1)."""
        if not lifetime.unambiguous:
            return False
        return (
            lifetime.proved_gone_at < interval.invoked
            or self.shortest_silence(lifetime, interval) > self._parameters.eviction_limit
        )

    def shortest_silence(self, lifetime: ConsumerLifetime, interval: Event) -> float:
        """Lower bound, in seconds, on the consumer's silence when the interval began; 0.0 if there is none.

        Refused operations and those without a reply may count as signs of life, so they end the silence here.
        """
        return max(0.0, interval.group_time_began - lifetime.latest_possible_sign(interval))

    # Subscriptions

    def may_be_subscribed(self, lifetime: ConsumerLifetime, topic: str, interval: Event) -> bool:
        """True if the consumer may have been registered and subscribed at some instant of the interval."""
        return not self.must_be_gone(lifetime, interval) and self.may_hold_subscription(
            lifetime, topic, interval
        )

    def may_hold_subscription(self, lifetime: ConsumerLifetime, topic: str, interval: Event) -> bool:
        """True if the consumer, if registered, may have been subscribed at some instant of the interval."""
        if topic not in lifetime.subscriptions:
            return False
        times = lifetime.topic_times(topic)
        subscribed = times.subscribed.up_to(interval.completed)
        return subscribed > NEVER_YET and subscribed >= times.surely_unsubscribed.below(interval.invoked)

    def subscribed_throughout(self, lifetime: ConsumerLifetime, topic: str, interval: Event) -> bool:
        """True if the consumer was registered and subscribed at every instant of the interval."""
        if topic not in lifetime.subscriptions:
            return False
        times = lifetime.topic_times(topic)
        subscribed = times.surely_subscribed.below(interval.invoked)
        return (
            subscribed > NEVER_YET
            and subscribed >= times.unsubscribed.below(interval.completed)
            and self.registered_throughout(lifetime, interval)
        )

    def possible_subscribers(self, group: str, topic: str, interval: Event) -> list[ConsumerLifetime]:
        """The lifetimes of the group that may have been subscribed to the topic at some instant of the interval."""
        return [
            lifetime
            for lifetime in self.of_group[group]
            if topic in lifetime.subscriptions
            and lifetime.registration.invoked <= interval.completed
            and self.may_be_subscribed(lifetime, topic, interval)
        ]

    def first_subscription(self, group: str, topic: str) -> float:
        """Time by which the group must have begun to read the topic, in seconds; infinite if no reply shows it."""
        if (group, topic) not in self._first_subscriptions:
            self._first_subscriptions[group, topic] = min(
                (
                    subscription.completed
                    for lifetime in self.of_group.get(group, ())
                    for subscription in lifetime.subscriptions.get(topic, ())
                    if subscription.succeeded
                ),
                default=NEVER,
            )
        return self._first_subscriptions[group, topic]
