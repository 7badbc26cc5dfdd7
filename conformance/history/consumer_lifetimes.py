"""When consumers were registered and subscribed, for certain or perhaps, as far as replies and silence tell.

A *life* lasts from a registration to an eviction or an unregistration; a name may have several, one after another.
Everything here is said of a moment, which is an event: what holds for certain holds whenever between its beginning
and its end the server looked.
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

    `clear`: nothing from before its registration can reach into it, and its registration is certain; of other
    lives nothing is concluded. `events` are in the order in which they began.
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
        """By when a reply had shown its end, in seconds of `completed`; infinite if none did."""
        proofs: list[ConsumerEvent] = [end for end in self.unregistrations if end.succeeded] + self.refusals
        if self.successor is not None and self.successor.registration.succeeded:
            proofs.append(self.successor.registration)
        return min((proof.completed for proof in proofs), default=NEVER)

    def latest_possible_sign(self, interval: Event) -> float:
        """By when everything else that began before the moment ended, and may be a sign of life, was over."""
        begun, over = self._signs_so_far
        end = bisect_left(begun, interval.completed)
        own = bisect_left(begun, interval.invoked)
        while own < end and begun[own] == interval.invoked:
            if self.events[own] is interval:
                return max([over[own], *(event.group_time_ended for event in self.events[own + 1 : end])])
            own += 1
        return over[end]

    @cached_property
    def _signs_so_far(self) -> tuple[list[float], list[float]]:
        """When each event began, and by when those before it were over."""
        over = accumulate(
            (event.group_time_ended for event in self.events), max, initial=self.registration.group_time_ended
        )
        return [event.invoked for event in self.events], list(over)

    def add(self, event: ConsumerEvent) -> None:
        """Take an event that names the consumer into its life."""
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
    """The lives of all consumers of a history."""

    def __init__(self, events: Iterable[Event], parameters: ServerParameters) -> None:
        self._parameters = parameters
        self.of_name: dict[str, list[ConsumerLifetime]] = defaultdict(list)
        self.of_group: dict[str, list[ConsumerLifetime]] = defaultdict(list)
        anomalies_named: dict[str, list[ConsumerEvent]] = defaultdict(list)
        for event in sorted(events, key=lambda event: event.invoked):
            if isinstance(event, ConsumerEvent):
                anomalies_named[event.consumer].append(event)
        for name, of_name in anomalies_named.items():
            self._split(name, of_name)

    def _split(self, name: str, events: list[ConsumerEvent]) -> None:
        """Part the events that name a consumer into its lives."""
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
        """The life that an event belongs to; None for a stranger."""
        found = None
        for lifetime in self.of_name.get(event.consumer, ()):
            if lifetime.registration.invoked <= event.invoked:
                found = lifetime
        return found

    # Alive or gone

    def registered_throughout(self, lifetime: ConsumerLifetime, interval: Event) -> bool:
        """Whether it was registered for certain during all of the moment."""
        if not lifetime.unambiguous or not lifetime.registration.before(interval):
            return False
        if any(end is not interval and end.invoked < interval.completed for end in lifetime.unregistrations):
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
        """Whether its registration was over for certain when the moment began."""
        if not lifetime.unambiguous:
            return False
        return (
            lifetime.proved_gone_at < interval.invoked
            or self.shortest_silence(lifetime, interval) > self._parameters.eviction_limit
        )

    def shortest_silence(self, lifetime: ConsumerLifetime, interval: Event) -> float:
        """For how many seconds nothing can have been a sign of life when the moment came, at least; 0.0 if unknown.

        A refused operation may be a sign of life or not, and so may one of which no reply came.
        """
        return max(0.0, interval.group_time_began - lifetime.latest_possible_sign(interval))

    # Subscriptions

    def may_be_subscribed(self, lifetime: ConsumerLifetime, topic: str, interval: Event) -> bool:
        """Whether it may have been subscribed, and registered, at some time of the moment."""
        return not self.must_be_gone(lifetime, interval) and self.may_hold_subscription(
            lifetime, topic, interval
        )

    def may_hold_subscription(self, lifetime: ConsumerLifetime, topic: str, interval: Event) -> bool:
        """Whether it may have been subscribed at some time of the moment, if it was registered then."""
        return any(
            subscription.invoked <= interval.completed
            and not any(
                departure.succeeded and subscription.before(departure) and departure.before(interval)
                for departure in lifetime.unsubscriptions.get(topic, ())
            )
            for subscription in lifetime.subscriptions.get(topic, ())
        )

    def subscribed_throughout(self, lifetime: ConsumerLifetime, topic: str, interval: Event) -> bool:
        """Whether it was subscribed during all of the moment."""
        return any(
            subscription.succeeded
            and subscription.before(interval)
            and not any(
                departure.completed > subscription.invoked and departure.invoked < interval.completed
                for departure in lifetime.unsubscriptions.get(topic, ())
            )
            for subscription in lifetime.subscriptions.get(topic, ())
        ) and self.registered_throughout(lifetime, interval)

    def possible_subscribers(self, group: str, topic: str, interval: Event) -> list[ConsumerLifetime]:
        """All who may have been subscribed to the topic in the group."""
        return [
            lifetime
            for lifetime in self.of_group[group]
            if topic in lifetime.subscriptions
            and lifetime.registration.invoked <= interval.completed
            and self.may_be_subscribed(lifetime, topic, interval)
        ]
