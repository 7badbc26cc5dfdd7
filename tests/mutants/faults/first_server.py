"""Faults of the first server of the queue, served by its stand-in in `tests/first_server`."""

from __future__ import annotations

from tests.first_server.faults import TABLE, Fault
from tests.mutants.registry import FIRST_SERVER, HTTP, PUBLISH, fault

#: Timings of the stand-in, in seconds. The last is longer than the others together: one fault shows only while a
#: rebalance waits for a holder that has been silent for longer than timeout and grace.
_TIMINGS = ("--heartbeat-timeout", "1", "--eviction-grace", "0.5", "--rebalance-timeout", "4")


def _register(switched_on: Fault) -> None:
    """Register a fault of the stand-in, which one of its flags switches on."""

    def patch() -> None: ...

    patch.__name__ = f"first_server_{switched_on.name.partition('-')[2].replace('-', '_')}"
    patch.__doc__ = switched_on.sentence
    register = fault(
        *switched_on.clauses,
        bindings=PUBLISH if switched_on.clauses[0] == "ORDER-3" else HTTP,
        flags=("--fault", switched_on.name, *_TIMINGS),
        options=("--target", "seed", *_TIMINGS),
        server=FIRST_SERVER,
    )
    register(patch)


for _fault in TABLE:
    _register(_fault)
