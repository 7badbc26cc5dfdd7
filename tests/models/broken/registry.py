"""Registry of the broken queues: each fault with its machine and the clauses on which a model may find it.

The first clause is the one that the fault breaks. The others are those that the first wrong reply may break instead.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.models.toy_adapters import ToyQueueAdapter
from tests.models.toy_queue import Choices, ToyQueue

#: Clauses to which a missing record may be attributed, depending on earlier operations.
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
    """A fault: a function that makes an adapter with it, the machine that must find it, and the clauses named then."""

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
    """Register a queue or an adapter that breaks the first of the clauses."""

    def register(broken: Any) -> Any:
        FAULTS[broken.__name__] = QueueFault(_adapter_factory(broken), machine, clauses)
        return broken

    return register
