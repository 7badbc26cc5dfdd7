"""Timers seen from outside, on a virtual clock and on a real one: both sides of an instant.

What a consumer does happens somewhere between two instants: when the request left, and when its reply was there. On
a virtual clock both are one. A timer is judged by the instants that speak for the server, and a real one with the
lateness of this machine besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.suite.queue.scene import MARGIN, SLACK

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.suite.queue.scene import Scene
    from conformance.target import Target
    from conformance.wire.operations import Reply

#: How far below its timeout a real timer is tried, in seconds, on a machine that has nothing else to do.
BELOW = 0.15
ROUND_TRIPS = 4


@dataclass(frozen=True)
class Deed:
    """An operation, and between which instants of its group's time it was done."""

    reply: Reply
    earliest: float
    latest: float


def timed(scene: Scene, group: str, operation: Callable[[], Reply]) -> Deed:
    """Perform an operation and look at the group's clock before and after."""
    before = scene.now(group)
    reply = operation()
    return Deed(reply, before, scene.now(group))


def just_below(scene: Scene, group: str, sign: Deed, *silent: str) -> None:
    """Let time pass until just below the timeout after a sign of life, with the others alive."""
    timeout = scene.timings.heartbeat_timeout
    bench = scene.bench
    margin = MARGIN
    if not bench.clock.is_virtual:
        margin = min(timeout / 2, BELOW + 2 * bench.lateness() + ROUND_TRIPS * bench.target.round_trip)
    scene.wait_until(group, sign.earliest + timeout - margin, *silent)


def was_in_time(scene: Scene, sign: Deed, deed: Deed) -> bool:
    """Whether the consumer was silent for less than the timeout, whenever in between the server looked."""
    return deed.latest - sign.earliest < scene.timings.heartbeat_timeout


def past_eviction(scene: Scene, group: str, sign: Deed, *silent: str) -> None:
    """Let time pass until a consumer that was silent since `sign` must have been evicted, with the others alive."""
    timings = scene.timings
    until = sign.latest + timings.heartbeat_timeout + timings.eviction_grace
    pass_deadline(scene, group, until, *silent)


def pass_deadline(scene: Scene, group: str, deadline: float, *silent: str) -> None:
    """Let time pass until something that is due at that instant must have happened."""
    scene.wait_until(group, deadline + MARGIN, *silent)
    if not scene.bench.clock.is_virtual:
        # What this machine was late by while we waited, the server may have been late by as well.
        scene.wait_until(group, deadline + SLACK + 2 * scene.bench.lateness(), *silent)


def one_silence(target: Target) -> float:
    """Seconds of a test that waits for one eviction; for `@waits`."""
    timings = target.timings
    return timings.heartbeat_timeout + timings.eviction_grace + 2 * SLACK


def two_silences(target: Target) -> float:
    """Seconds of a test that waits for two timeouts, one after the other."""
    return 2 * one_silence(target)


def one_rebalance(target: Target) -> float:
    """Seconds of a test that waits for the end of a rebalance."""
    return target.timings.rebalance_timeout + 2 * SLACK
