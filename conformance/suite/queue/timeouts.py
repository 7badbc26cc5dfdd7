"""Timers seen from outside, on a virtual clock and on a real one: both sides of an instant.

What a consumer does happens somewhere between two instants: when the request left, and when its reply was there. On
a virtual clock both are one. A timer is judged by the instants that speak for the server, and a real one with the
lateness of this machine besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.suite.queue.queue_client import MARGIN, SLACK
from conformance.wire.failures import TooSlow

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.suite.queue.fixture import QueueFixture
    from conformance.targets.target import Target
    from conformance.wire.operations import Reply

#: How far below its timeout a real timer is tried, in seconds, on a machine that has nothing else to do.
BELOW_TIMEOUT = 0.15
ROUND_TRIPS = 4


@dataclass(frozen=True)
class TimedReply:
    """An operation, and between which instants of its group's time it was done."""

    reply: Reply
    earliest: float
    latest: float


def timed(queue: QueueFixture, group: str, operation: Callable[[], Reply]) -> TimedReply:
    """Perform an operation and look at the group's clock before and after."""
    before = queue.now(group)
    reply = operation()
    return TimedReply(reply, before, queue.now(group))


def wait_just_below_timeout(queue: QueueFixture, group: str, sign: TimedReply, *silent: str) -> None:
    """Let time pass until just below the timeout after a sign of life, with the others alive."""
    timeout = queue.timings.heartbeat_timeout
    bench = queue.bench
    margin = MARGIN
    if not bench.clock.is_virtual:
        margin = min(
            timeout / 2, BELOW_TIMEOUT + 2 * bench.lateness() + ROUND_TRIPS * bench.target.round_trip
        )
    queue.wait_until(group, sign.earliest + timeout - margin, *silent)


def expect_kept_alive(
    queue: QueueFixture, clause: str, sign: TimedReply, answer: TimedReply, *, expected: str, ok: bool
) -> None:
    """Judge that a consumer was served after a silence below the timeout.

    Raises TooSlow where it was not, but may have been silent for longer: this machine came too late.
    """
    silence = answer.latest - sign.earliest
    if not ok and silence >= queue.timings.heartbeat_timeout:
        raise TooSlow(
            f"this machine was too slow to speak within a timeout of {queue.timings.heartbeat_timeout:g} s"
        )
    queue.bench.judge(
        clause, ok, expected=f"{expected}, after {silence:.3f} s of silence", observed=answer.reply
    )


def wait_past_eviction(queue: QueueFixture, group: str, sign: TimedReply, *silent: str) -> None:
    """Let time pass until a consumer that was silent since `sign` must have been evicted, with the others alive."""
    timings = queue.timings
    until = sign.latest + timings.heartbeat_timeout + timings.eviction_grace
    wait_past_deadline(queue, group, until, *silent)


def wait_past_deadline(queue: QueueFixture, group: str, deadline: float, *silent: str) -> None:
    """Let time pass until something that is due at that instant must have happened."""
    queue.wait_until(group, deadline + MARGIN, *silent)
    if not queue.bench.clock.is_virtual:
        # What this machine was late by while we waited, the server may have been late by as well.
        queue.wait_until(group, deadline + SLACK + 2 * queue.bench.lateness(), *silent)


def eviction_seconds(target: Target) -> float:
    """Seconds of a test that waits for one eviction; for `@waits`."""
    timings = target.timings
    return timings.heartbeat_timeout + timings.eviction_grace + 2 * SLACK


def rebalance_seconds(target: Target) -> float:
    """Seconds of a test that waits for the end of a rebalance."""
    return target.timings.rebalance_timeout + 2 * SLACK
