"""Index of a history: its events in order, and the facts derived from them, each derived once."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from conformance.history.consumer_lifetimes import ConsumerLifetime, ConsumerLifetimes
from conformance.history.deliveries import RecordDeliveries
from conformance.history.events import Event, Poll
from conformance.history.rebalances import Rebalances
from conformance.history.records import HistoryRecords
from conformance.history.server_parameters import ServerParameters

EventType = TypeVar("EventType", bound=Event)
Found = TypeVar("Found")


class HistoryIndex:
    """The events of a run in the order of their invocations, with lookups for the checkers."""

    def __init__(self, events: Iterable[Event], parameters: ServerParameters) -> None:
        self.events = tuple(sorted(events, key=lambda event: event.invoked))
        self.parameters = parameters
        self._found: dict[Callable[[HistoryIndex], Iterable[Any]], tuple[Any, ...]] = {}

    def cached(self, find: "Callable[[HistoryIndex], Iterable[Found]]") -> tuple[Found, ...]:
        """The results of `find` on this index; it is called once."""
        if find not in self._found:
            self._found[find] = tuple(find(self))
        return self._found[find]

    def of_type(self, kind: type[EventType]) -> Iterator[EventType]:
        """The events of a type, in the order of their invocations."""
        return (event for event in self.events if isinstance(event, kind))

    @cached_property
    def lifetimes(self) -> ConsumerLifetimes:
        """Bounds on when each consumer was registered and subscribed."""
        return ConsumerLifetimes(self.events, self.parameters)

    @cached_property
    def unanswered_polls(self) -> dict[str, list[tuple[ConsumerLifetime, Poll]]]:
        """The polls of each group without a reply; each may have taken a record in flight."""
        found: dict[str, list[tuple[ConsumerLifetime, Poll]]] = defaultdict(list)
        for poll in self.of_type(Poll):
            if poll.status is None:
                for lifetime in self.lifetimes.of_name[poll.consumer]:
                    found[lifetime.group].append((lifetime, poll))
        return found

    @cached_property
    def rebalances(self) -> Rebalances:
        """Bounds on when each group was rebalancing."""
        return Rebalances(self.events, self.lifetimes, self.parameters)

    @cached_property
    def records(self) -> HistoryRecords:
        """The records that were published or delivered."""
        return HistoryRecords(self.events)

    @cached_property
    def deliveries(self) -> RecordDeliveries:
        """The deliveries and settlements."""
        return RecordDeliveries(
            self.events, self.lifetimes, self.rebalances, self.records, parameters=self.parameters
        )
