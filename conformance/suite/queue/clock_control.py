"""Timers that show if a clock moves at all, so that a timer that fails alone isn't charged to the clock.

A clock that stands still keeps both timers from firing, that of evictions and that of rebalances. If one of them
fires, the clock moves, and the fault lies with the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.queue.expectations import refused
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.rebalance_in_progress import begin_rebalance

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench

    #: Brings the time of a group to an instant; heartbeats come from all but the silent consumers.
    Reach = Callable[[QueueFixture, str, float, tuple[str, ...]], None]


def eviction_comes(bench: Bench, reach: Reach) -> bool:
    """True if a silent consumer is evicted when the time of its group has reached timeout and grace."""
    queue = QueueFixture(bench)
    group = queue.new_group()
    consumer = queue.new_consumer(group)
    timings = queue.timings
    reach(
        queue,
        group,
        queue.now(group) + timings.heartbeat_timeout + timings.eviction_grace,
        (consumer,),
    )
    return refused(queue.heartbeat(consumer))


def rebalance_ends(bench: Bench, reach: Reach) -> bool:
    """True if records in flight are taken back when the time of their group has reached the end of a rebalance.

    False also if no rebalance can be observed on this server.
    """
    rebalance = begin_rebalance(bench)
    if rebalance is None:
        return False
    queue = rebalance.queue
    reach(queue, rebalance.group, rebalance.started[1] + queue.timings.rebalance_timeout, ())
    return len(queue.poll_all(rebalance.newcomer)) >= rebalance.half
