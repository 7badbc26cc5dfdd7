"""A history, read once: what all checkers look things up in."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from conformance.history.consumer_lifetimes import Life, Lives
from conformance.history.deliveries import Deliveries
from conformance.history.events import Event, Poll
from conformance.history.rebalances import Rebalances
from conformance.history.records import Records
from conformance.history.server_parameters import Facts

Kind = TypeVar("Kind", bound=Event)
Found = TypeVar("Found")


class Reading:
    """The events of a run in the order in which they began, and what follows from them and the facts."""

    def __init__(self, events: Iterable[Event], facts: Facts) -> None:
        self.events = tuple(sorted(events, key=lambda event: event.invoked))
        self.facts = facts
        self._found: dict[Callable[[Reading], Iterable[Any]], tuple[Any, ...]] = {}

    def once(self, find: "Callable[[Reading], Iterable[Found]]") -> tuple[Found, ...]:
        """What a function finds in this history; it is asked once."""
        if find not in self._found:
            self._found[find] = tuple(find(self))
        return self._found[find]

    def of_kind(self, kind: type[Kind]) -> Iterator[Kind]:
        """The events of a kind."""
        return (event for event in self.events if isinstance(event, kind))

    @cached_property
    def lives(self) -> Lives:
        """When consumers were registered and subscribed."""
        return Lives(self.events, self.facts)

    @cached_property
    def unanswered_polls(self) -> dict[str, list[tuple[Life, Poll]]]:
        """The polls of each group of which no reply came: each may have brought something to nobody."""
        found: dict[str, list[tuple[Life, Poll]]] = defaultdict(list)
        for poll in self.of_kind(Poll):
            if poll.status is None:
                for life in self.lives.of_name[poll.consumer]:
                    found[life.group].append((life, poll))
        return found

    @cached_property
    def rebalances(self) -> Rebalances:
        """When groups may have been rebalancing."""
        return Rebalances(self.events, self.lives, self.facts)

    @cached_property
    def records(self) -> Records:
        """What was published, and what lies where."""
        return Records(self.events)

    @cached_property
    def deliveries(self) -> Deliveries:
        """What was handed out, and what became of it."""
        return Deliveries(self.events, self.lives, self.rebalances, self.records)
