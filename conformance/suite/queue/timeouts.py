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

    from conformance.suite.queue.scene import Scene
    from conformance.targets.target import Target
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
        margin = min(
            timeout / 2, BELOW + 2 * bench.scheduling_delay() + ROUND_TRIPS * bench.target.round_trip
        )
    scene.wait_until(group, sign.earliest + timeout - margin, *silent)


def judge_kept(scene: Scene, clause: str, sign: Deed, deed: Deed, *, expected: str, ok: bool) -> None:
    """Judge that a consumer was served after a silence below the timeout.

    Raises TooSlow where it was not, but may have been silent for longer: this machine came too late.
    """
    silence = deed.latest - sign.earliest
    if not ok and silence >= scene.timings.heartbeat_timeout:
        raise TooSlow(
            f"this machine was too slow to speak within a timeout of {scene.timings.heartbeat_timeout:g} s"
        )
    scene.bench.judge(
        clause, ok, expected=f"{expected}, after {silence:.3f} s of silence", observed=deed.reply
    )


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
        scene.wait_until(group, deadline + SLACK + 2 * scene.bench.scheduling_delay(), *silent)


def one_silence(target: Target) -> float:
    """Seconds of a test that waits for one eviction; for `@waits`."""
    timings = target.timings
    return timings.heartbeat_timeout + timings.eviction_grace + 2 * SLACK


def one_rebalance(target: Target) -> float:
    """Seconds of a test that waits for the end of a rebalance."""
    return target.timings.rebalance_timeout + 2 * SLACK
