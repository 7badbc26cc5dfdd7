"""Consumer lifetimes derived from a history: bounds on when each consumer was registered and subscribed.

A *lifetime* lasts from a registration to an eviction or an unregistration; a name may have several, one after
another. Questions are asked about an interval, given as an event. An answer with *must* or *throughout* holds at
whichever instant of the interval the server carried the event out; one with *may* holds if some instant is possible.
"""

from bisect import bisect_left
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
from conformance.history.server_parameters import ServerParameters


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
        for number, event in enumerate(events):
            if isinstance(event, Register) and event.possible:
                earlier = events[:number]
                unambiguous = event.succeeded and all(e.before(event) for e in earlier)
                lifetime = ConsumerLifetime(name, event.group, event, unambiguous)
                if lifetimes:
                    lifetimes[-1].successor = lifetime
                lifetimes.append(lifetime)
                self.of_group[event.group].append(lifetime)
                lifetime.signs_of_life.append(event)
            elif lifetimes:
                lifetimes[-1].add(event)

    def lifetime_at(self, event: ConsumerEvent) -> ConsumerLifetime | None:
        """The lifetime that an event belongs to; None if the consumer has not tried to register."""
        found = None
        for lifetime in self.of_name.get(event.consumer, ()):
            if lifetime.registration.invoked <= event.invoked:
                found = lifetime
        return found

    # Registration

    def registered_throughout(self, lifetime: ConsumerLifetime, interval: Event) -> bool:
        """True if the consumer was registered at every instant of the interval.

        A later success in the same lifetime proves it, and so does a sign of life less than heartbeat_timeout before
        the end of the interval (LIVE-KEEP-1).
        """
        if not lifetime.unambiguous or not lifetime.registration.before(interval):
            return False
        if any(one is not interval and one.invoked < interval.completed for one in lifetime.unregistrations):
            return False
        if lifetime.successor is not None and lifetime.successor.registration.invoked < interval.completed:
            return False
        timeout = self._parameters.heartbeat_timeout
        return any(
            sign.invoked >= interval.completed
            or (sign.before(interval) and interval.group_time_ended < sign.group_time_began + timeout)
            for sign in reversed(lifetime.signs_of_life)
            if sign is not interval
        )

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
        return any(
            subscription.invoked <= interval.completed
            and not any(
                unsubscription.succeeded
                and subscription.before(unsubscription)
                and unsubscription.before(interval)
                for unsubscription in lifetime.unsubscriptions.get(topic, ())
            )
            for subscription in lifetime.subscriptions.get(topic, ())
        )

    def subscribed_throughout(self, lifetime: ConsumerLifetime, topic: str, interval: Event) -> bool:
        """True if the consumer was registered and subscribed at every instant of the interval."""
        return any(
            subscription.succeeded
            and subscription.before(interval)
            and not any(
                unsubscription.completed > subscription.invoked
                and unsubscription.invoked < interval.completed
                for unsubscription in lifetime.unsubscriptions.get(topic, ())
            )
            for subscription in lifetime.subscriptions.get(topic, ())
        ) and self.registered_throughout(lifetime, interval)

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
        return min(
            (
                subscription.completed
                for lifetime in self.of_group.get(group, ())
                for subscription in lifetime.subscriptions.get(topic, ())
                if subscription.succeeded
            ),
            default=NEVER,
        )
