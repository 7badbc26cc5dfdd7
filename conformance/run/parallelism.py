"""How many tests run side by side: those of a near server share processors, those of a distant one wait for replies."""

from __future__ import annotations

import os

#: Tests that run at a time, by default: on a near server, where more only take the processor from one another, and on a
#: distant one.
NEAR, FAR = 4, 16
#: Round trip from which a server is distant, in seconds.
FAR_ROUND_TRIP = 0.02
#: Most processes for models of one run: near, where each needs a processor, and far.
MOST_PROCESSES, MOST_FAR_PROCESSES = 3, 8


def parallel_tests(asked: int | None, round_trip: float) -> int:
    """Tests that run at a time: as many as were asked for (--parallel), else as the round trip in seconds allows."""
    if asked is not None:
        return asked
    return FAR if round_trip >= FAR_ROUND_TRIP else NEAR


def processes_for_models(workers: int, round_trip: float) -> int:
    """Processes that play models beside `workers` tests; one processor is left for these if the server is near."""
    if round_trip >= FAR_ROUND_TRIP:
        return min(workers // 2, MOST_FAR_PROCESSES)
    return min(_processors() - 1, workers - 1, MOST_PROCESSES)


def _processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
