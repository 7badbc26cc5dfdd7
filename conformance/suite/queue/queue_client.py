"""Operations, and the time in which they happen: real or virtual, with everybody alive who is to be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.wire.failures import TooSlow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.bench.bench import Bench
    from conformance.wire.operations import Reply

HEARTBEAT = "/consumer/heartbeat"

#: Just past a deadline, in seconds: at the deadline itself a float may fall on either side.
MARGIN = 0.001
#: What a real clock may be late by, in seconds, on a machine that has nothing else to do.
SLACK = 0.25
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25
_SHOWN = 300


def refused(reply: Reply) -> bool:
    """Whether the status is of the class 4xx: what every refusal has in common."""
    return 400 <= reply.status < 500


class Pace:
    """A client of the queue that keeps an eye on the clocks of its groups."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.queue = bench.queue()
        self.timings = bench.target.timings
        self.members: dict[str, list[str]] = {}
        """The consumers that were registered here, by group."""
        self._silent: set[str] = set()
        self._kept_alive = time.monotonic()
        self._signs: dict[str, float] = {}

    def call(self, path: str, body: object) -> Reply:
        """Perform one operation, whatever comes of it.

        Raises TooSlow where a consumer may have been evicted only because this machine took so long.
        """
        is_late = time.monotonic() > self._kept_alive + self.timings.heartbeat_timeout / 4
        if is_late and not self.bench.clock.is_virtual:
            # A slow machine may take so long for a test that its members would be evicted meanwhile.
            self.keep_alive()
        began = time.monotonic()
        reply = self.queue.call(path, body)
        shown = repr(body)
        self.bench.step(f"{path} {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'} -> {reply}")
        if not self.bench.clock.is_virtual and isinstance(body, dict):
            self._note_sign(body.get("consumer_name"), began, reply)
        return reply

    def _note_sign(self, consumer: object, began: float, reply: Reply) -> None:
        """Keep the times of signs of life: who gave none for too long, unless on purpose, was let down by us."""
        if not isinstance(consumer, str) or consumer in self._silent:
            return
        if not refused(reply):
            self._signs[consumer] = began
            return
        silence = time.monotonic() - self._signs.get(consumer, began)
        if silence >= self.timings.heartbeat_timeout:
            raise TooSlow(
                f"this machine kept a consumer from its heartbeats for {silence:.1f} s, which is too long"
            )

    # Time

    def attempts(self, *silent: str) -> Iterator[None]:
        """Attempts at something that a rebalance may still delay: until it must be settled (REBALANCE-1).

        Between them time passes, a little more each time, and all consumers of the scene but the `silent` ones send
        heartbeats.
        """
        bound = self.timings.rebalance_timeout
        if self.bench.clock.is_virtual:
            step = min(bound, self.timings.heartbeat_timeout) / 4
            passed = 0.0
            while True:
                yield
                if passed > bound:
                    return
                self.keep_alive(*silent)
                self.pass_time(step)
                passed += step
        deadline = time.monotonic() + bound + SLACK + self.bench.scheduling_delay()
        pause = _FIRST_PAUSE
        while True:
            is_last = time.monotonic() > deadline
            yield
            if is_last:
                return
            self.keep_alive(*silent)
            self.pass_time(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def heartbeat(self, consumer: str) -> Reply:
        """One heartbeat, whatever comes of it."""
        return self.call(HEARTBEAT, {"consumer_name": consumer})

    def keep_alive(self, *but: str) -> None:
        """A heartbeat of every consumer of this scene but those, and those that are to be silent."""
        self._kept_alive = time.monotonic()
        for members in self.members.values():
            for name in members:
                if name not in but and name not in self._silent:
                    self.heartbeat(name)

    def now(self, group: str) -> float:
        """The time of a group, in seconds."""
        return self.bench.clock.now(group)

    def silence(self, *consumers: str) -> None:
        """From now on nobody speaks for these but the test itself."""
        self._silent.update(consumers)

    def wait_until(self, group: str, instant: float, *silent: str) -> None:
        """Let time pass up to an instant of a group's time; all but the `silent` consumers send heartbeats.

        Those stay silent, but for what a test has them do.
        """
        self.silence(*silent)
        while True:
            self.keep_alive(*silent)
            left = instant - self.now(group)
            if left <= 0:
                return
            self.pass_time(min(left, self.timings.heartbeat_timeout / 4))

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the groups of this scene."""
        self.bench.pass_time(seconds, groups=list(self.members))
