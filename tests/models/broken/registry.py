"""Worlds with one fault each, and the clauses on which a model may catch it.

The first clause is the one that the fault breaks; others are what the same fault looks like in the reply that
happens to come first.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.models.toy_adapters import ToyQueueAdapter
from tests.models.toy_queue import Choices, ToyQueue

#: What a record that never comes may be put down to, by what happened before.
UNDELIVERED = (
    "DELIVER-1",
    "DELIVER-2",
    "POLL-START-1",
    "POLL-FAIR-1",
    "ACK-COMMIT-2",
    "NACK-AGAIN-1",
    "GROUP-ADD-2",
    "MEMBER-UNSUBSCRIBE-4",
    "ISOLATE-1",
    "ASSIGN-1",
    "REBALANCE-1",
)


class QueueFault(NamedTuple):
    """One fault: how to make a world with it, which machine must find it, and on which clauses it may."""

    make_adapter: Callable[[Choices], ToyQueueAdapter]
    machine: str
    clauses: tuple[str, ...]


FAULTS: dict[str, QueueFault] = {}


def _adapter_factory(broken: type[ToyQueue] | type[ToyQueueAdapter]) -> Callable[[Choices], ToyQueueAdapter]:
    if issubclass(broken, ToyQueueAdapter):
        return broken

    def make(choices: Choices) -> ToyQueueAdapter:
        system = ToyQueueAdapter(choices)
        system.queue = broken(choices)
        return system

    return make


def breaks(machine: str, *clauses: str) -> Any:
    """Register a queue, or a world, that breaks the first of the clauses."""

    def register(broken: Any) -> Any:
        FAULTS[broken.__name__] = QueueFault(_adapter_factory(broken), machine, clauses)
        return broken

    return register
