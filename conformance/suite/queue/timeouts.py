"""Timers observed from outside, on a virtual and on a real clock, on both sides of their deadline.

An operation takes effect between two instants: when the request left, and when its reply arrived. On a virtual clock
both are one. A timer is judged by the instant that favours the server, and on a real clock also with the scheduling
delay of this machine.
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

#: Distance below a timeout, in seconds, at which a real timer is tested on an idle machine.
BELOW_TIMEOUT = 0.15
ROUND_TRIPS = 4


@dataclass(frozen=True)
class TimedReply:
    """A reply, and the group's time in seconds before the request and after the reply."""

    reply: Reply
    earliest: float
    latest: float


def timed(queue: QueueFixture, group: str, operation: Callable[[], Reply]) -> TimedReply:
    """Perform an operation, and read the group's clock before and after it."""
    before = queue.now(group)
    reply = operation()
    return TimedReply(reply, before, queue.now(group))


def wait_just_below_timeout(queue: QueueFixture, group: str, sign: TimedReply, *silent: str) -> None:
    """Let time pass until just below the heartbeat timeout after `sign`; all but the `silent` consumers stay alive."""
    timeout = queue.timings.heartbeat_timeout
    bench = queue.bench
    margin = MARGIN
    if not bench.clock.is_virtual:
        margin = min(
            timeout / 2, BELOW_TIMEOUT + 2 * bench.scheduling_delay() + ROUND_TRIPS * bench.target.round_trip
        )
    queue.wait_until(group, sign.earliest + timeout - margin, *silent)


def expect_kept_alive(
    queue: QueueFixture, clause: str, sign: TimedReply, answer: TimedReply, *, expected: str, ok: bool
) -> None:
    """Judge `clause` by `ok`: a consumer was served after a silence below the heartbeat timeout.

    Raises TooSlow if it was not, and this machine was so slow that the silence may have reached the timeout.
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
    """Let time pass until a consumer that was silent since `sign` must have been evicted; the others stay alive."""
    timings = queue.timings
    until = sign.latest + timings.heartbeat_timeout + timings.eviction_grace
    wait_past_deadline(queue, group, until, *silent)


def wait_past_deadline(queue: QueueFixture, group: str, deadline: float, *silent: str) -> None:
    """Let time pass until a timer with this deadline, in seconds of the group's time, must have fired."""
    queue.wait_until(group, deadline + MARGIN, *silent)
    if not queue.bench.clock.is_virtual:
        # The server may have been late by as much as this machine was during the wait.
        queue.wait_until(group, deadline + SLACK + 2 * queue.bench.scheduling_delay(), *silent)


def eviction_seconds(target: Target) -> float:
    """Seconds of real time for a test that waits for one eviction; for `@waits`."""
    timings = target.timings
    return timings.heartbeat_timeout + timings.eviction_grace + 2 * SLACK


def rebalance_seconds(target: Target) -> float:
    """Seconds of real time for a test that waits for the end of a rebalance; for `@waits`."""
    return target.timings.rebalance_timeout + 2 * SLACK
