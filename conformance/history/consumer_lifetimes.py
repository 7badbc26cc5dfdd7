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
from conformance.history.server_parameters import Facts


@dataclass(eq=False)
class Life:
    """One registration of a consumer, and every later event that names it, up to the next registration.

    `clear`: nothing from before its registration can reach into it, and its registration is certain; of other
    lives nothing is concluded. `events` are in the order in which they began.
    """

    name: str
    group: str
    register: Register
    clear: bool = True
    events: list[ConsumerEvent] = field(default_factory=list)
    signs: list[ConsumerEvent] = field(default_factory=list)
    ends: list[Unregister] = field(default_factory=list)
    subscriptions: dict[str, list[Subscribe]] = field(default_factory=lambda: defaultdict(list))
    departures: dict[str, list[Unsubscribe]] = field(default_factory=lambda: defaultdict(list))
    farewells: list[ConsumerEvent] = field(default_factory=list)
    successor: "Life | None" = None

    @cached_property
    def gone_by(self) -> float:
        """By when a reply had shown its end, in seconds of `completed`; infinite if none did."""
        proofs: list[ConsumerEvent] = [end for end in self.ends if end.succeeded] + self.farewells
        if self.successor is not None and self.successor.register.succeeded:
            proofs.append(self.successor.register)
        return min((proof.completed for proof in proofs), default=NEVER)

    def latest_sign(self, moment: Event) -> float:
        """By when everything else that began before the moment ended, and may be a sign of life, was over."""
        begun, over = self._signs_so_far
        end = bisect_left(begun, moment.completed)
        own = bisect_left(begun, moment.invoked)
        while own < end and begun[own] == moment.invoked:
            if self.events[own] is moment:
                return max([over[own], *(event.group_time_ended for event in self.events[own + 1 : end])])
            own += 1
        return over[end]

    @cached_property
    def _signs_so_far(self) -> tuple[list[float], list[float]]:
        """When each event began, and by when those before it were over."""
        over = accumulate(
            (event.group_time_ended for event in self.events), max, initial=self.register.group_time_ended
        )
        return [event.invoked for event in self.events], list(over)

    def add(self, event: ConsumerEvent) -> None:
        """Take an event that names the consumer into its life."""
        self.events.append(event)
        if event.succeeded:
            self.signs.append(event)
        if event.refused and isinstance(event, Heartbeat | Poll) and self.register.before(event):
            self.farewells.append(event)
        if event.refused:
            return
        if isinstance(event, Unregister):
            self.ends.append(event)
        elif isinstance(event, Subscribe):
            for topic in event.topics:
                self.subscriptions[topic].append(event)
        elif isinstance(event, Unsubscribe):
            for topic in event.topics:
                self.departures[topic].append(event)


class Lives:
    """The lives of all consumers of a history."""

    def __init__(self, events: Iterable[Event], facts: Facts) -> None:
        self._facts = facts
        self.of_name: dict[str, list[Life]] = defaultdict(list)
        self.of_group: dict[str, list[Life]] = defaultdict(list)
        named: dict[str, list[ConsumerEvent]] = defaultdict(list)
        for event in sorted(events, key=lambda event: event.invoked):
            if isinstance(event, ConsumerEvent):
                named[event.consumer].append(event)
        for name, of_name in named.items():
            self._part(name, of_name)

    def _part(self, name: str, events: list[ConsumerEvent]) -> None:
        """Part the events that name a consumer into its lives."""
        lives = self.of_name[name]
        for number, event in enumerate(events):
            if isinstance(event, Register) and event.possible:
                earlier = events[:number]
                clear = event.succeeded and all(e.before(event) for e in earlier)
                life = Life(name, event.group, event, clear)
                if lives:
                    lives[-1].successor = life
                lives.append(life)
                self.of_group[event.group].append(life)
                life.signs.append(event)
            elif lives:
                lives[-1].add(event)

    def life_at(self, event: ConsumerEvent) -> Life | None:
        """The life that an event belongs to; None for a stranger."""
        found = None
        for life in self.of_name.get(event.consumer, ()):
            if life.register.invoked <= event.invoked:
                found = life
        return found

    # Alive or gone

    def alive_through(self, life: Life, moment: Event) -> bool:
        """Whether it was registered for certain during all of the moment."""
        if not life.clear or not life.register.before(moment):
            return False
        if any(end is not moment and end.invoked < moment.completed for end in life.ends):
            return False
        if life.successor is not None and life.successor.register.invoked < moment.completed:
            return False
        timeout = self._facts.heartbeat_timeout
        return any(
            sign.invoked >= moment.completed
            or (sign.before(moment) and moment.group_time_ended < sign.group_time_began + timeout)
            for sign in reversed(life.signs)
            if sign is not moment
        )

    def certainly_gone(self, life: Life, moment: Event) -> bool:
        """Whether its registration was over for certain when the moment began."""
        if not life.clear:
            return False
        return life.gone_by < moment.invoked or self.silent_for(life, moment) > self._facts.silence

    def silent_for(self, life: Life, moment: Event) -> float:
        """For how many seconds nothing can have been a sign of life when the moment came, at least; 0.0 if unknown.

        A refused operation may be a sign of life or not, and so may one of which no reply came.
        """
        return max(0.0, moment.group_time_began - life.latest_sign(moment))

    # Subscriptions

    def perhaps_subscribed(self, life: Life, topic: str, moment: Event) -> bool:
        """Whether it may have been subscribed, and registered, at some time of the moment."""
        return not self.certainly_gone(life, moment) and self.perhaps_listed(life, topic, moment)

    def perhaps_listed(self, life: Life, topic: str, moment: Event) -> bool:
        """Whether it may have been subscribed at some time of the moment, if it was registered then."""
        return any(
            subscription.invoked <= moment.completed
            and not any(
                departure.succeeded and subscription.before(departure) and departure.before(moment)
                for departure in life.departures.get(topic, ())
            )
            for subscription in life.subscriptions.get(topic, ())
        )

    def certainly_subscribed(self, life: Life, topic: str, moment: Event) -> bool:
        """Whether it was subscribed during all of the moment."""
        return any(
            subscription.succeeded
            and subscription.before(moment)
            and not any(
                departure.completed > subscription.invoked and departure.invoked < moment.completed
                for departure in life.departures.get(topic, ())
            )
            for subscription in life.subscriptions.get(topic, ())
        ) and self.alive_through(life, moment)

    def perhaps_subscribers(self, group: str, topic: str, moment: Event) -> list[Life]:
        """All who may have been subscribed to the topic in the group."""
        return [
            life
            for life in self.of_group[group]
            if topic in life.subscriptions
            and life.register.invoked <= moment.completed
            and self.perhaps_subscribed(life, topic, moment)
        ]
