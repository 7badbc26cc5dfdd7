"""A client of the queue that sends the heartbeats of its consumers, on a real or a virtual clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.suite.queue.expectations import refused
from conformance.wire.failures import PeerFailure, TooSlow, WaitTooLong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.bench.bench import Bench
    from conformance.wire.operations import Reply

HEARTBEAT = "/consumer/heartbeat"

#: Just past a deadline, in seconds: at the deadline itself a float may fall on either side.
MARGIN = 0.001
#: Lateness of a real timer, in seconds, on an idle machine.
SLACK = 0.25
#: Most steps of a virtual clock in one wait.
MOST_STEPS = 2000
#: Longest rebalance timeout that is waited out on a real clock, and the wait where it is longer, in seconds.
LONGEST_REBALANCE = 600.0
SHORT_OF_IT = 15.0
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25
_SHOWN = 300


class KeepAliveClient:
    """A client of the queue that keeps its registered consumers alive while time passes."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.client = bench.queue()
        self.timings = bench.target.timings
        self.members: dict[str, list[str]] = {}
        """The consumers that were registered here, by group."""
        self._silent: set[str] = set()
        self._kept_alive = time.monotonic()
        self._is_keeping_alive = False
        self._last_signs: dict[str, float] = {}

    def call(self, path: str, body: object, *, promise: str = "") -> Reply:
        """Perform one operation and return the reply, whatever its status.

        Raises PeerFailure if no reply arrives, to be counted against the clause `promise` where one is named and the
        failure names none itself; and TooSlow if a consumer may have been evicted only because this
        machine was too slow.
        """
        is_late = time.monotonic() > self._kept_alive + self.timings.heartbeat_timeout / 4
        if is_late and not self.bench.clock.is_virtual and not self._is_keeping_alive:
            # On a slow machine a test may take so long that its members would be evicted meanwhile.
            self.keep_alive()
        began = time.monotonic()
        try:
            reply = self.client.call(path, body)
        except PeerFailure as silence:
            silence.promise = silence.promise or promise
            raise
        shown = repr(body)
        self.bench.step(f"{path} {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'} -> {reply}")
        if not self.bench.clock.is_virtual and isinstance(body, dict):
            self._record_sign_of_life(body.get("consumer_name"), began, reply)
        return reply

    def _record_sign_of_life(self, consumer: object, began: float, reply: Reply) -> None:
        """Note the time of a sign of life. Raises TooSlow if the harness, not the test, let the consumer time out."""
        if not isinstance(consumer, str) or consumer in self._silent:
            return
        if not refused(reply):
            self._last_signs[consumer] = began
            return
        silence = time.monotonic() - self._last_signs.get(consumer, began)
        if silence >= self.timings.heartbeat_timeout:
            raise TooSlow(
                f"this machine kept a consumer from its heartbeats for {silence:.1f} s, which is too long"
            )

    # Time

    def retry_until_rebalanced(self, *silent: str) -> Iterator[None]:
        """Iterate over attempts until a rebalance under way must be settled (REBALANCE-1). The caller breaks on
        success.

        Between attempts time passes, a little more each time, and all registered consumers but the `silent` ones send
        heartbeats.
        """
        bound = self.timings.rebalance_timeout
        if self.bench.clock.is_virtual:
            step = min(bound, self.timings.heartbeat_timeout) / 4
            self.check_steps(bound, step)
            step = step or MARGIN
            passed = 0.0
            while True:
                yield
                if passed > bound:
                    return
                self.keep_alive(*silent)
                self.pass_time(step)
                passed += step
        is_endless = bound > LONGEST_REBALANCE
        waited = SHORT_OF_IT if is_endless else bound
        deadline = time.monotonic() + waited + SLACK + self.bench.scheduling_delay()
        pause = _FIRST_PAUSE
        while True:
            is_last = time.monotonic() > deadline
            yield
            if is_last and is_endless:
                raise WaitTooLong(
                    f"a rebalance of this server may take {bound:g} s, and was not over within {waited:g} s: set the "
                    "server to a shorter rebalance timeout"
                )
            if is_last:
                return
            self.keep_alive(*silent)
            self.pass_time(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def heartbeat(self, consumer: str) -> Reply:
        """Send one heartbeat and return the reply, whatever its status."""
        return self.call(HEARTBEAT, {"consumer_name": consumer})

    def keep_alive(self, *but: str) -> None:
        """Send a heartbeat of every registered consumer, but for those in `but` and those that were stopped."""
        self._kept_alive = time.monotonic()
        self._is_keeping_alive = True
        try:
            for members in self.members.values():
                for name in members:
                    if name not in but and name not in self._silent:
                        self.heartbeat(name)
        finally:
            self._is_keeping_alive = False

    def now(self, group: str) -> float:
        """The time of a group, in seconds."""
        return self.bench.clock.now(group)

    def stop_heartbeats(self, *consumers: str) -> None:
        """Send no more heartbeats of these consumers. A test may still name them in operations of its own."""
        self._silent.update(consumers)

    def wait_until(self, group: str, instant: float, *silent: str) -> None:
        """Let time pass until a group's time is `instant`, in seconds; all but the `silent` consumers send heartbeats.

        Heartbeats of the `silent` ones stay stopped afterwards.
        """
        self.stop_heartbeats(*silent)
        if self.bench.clock.is_virtual:
            self.check_steps(instant - self.now(group), self.timings.heartbeat_timeout / 4)
        while True:
            self.keep_alive(*silent)
            left = instant - self.now(group)
            if left <= 0:
                return
            self.pass_time(min(left, max(self.timings.heartbeat_timeout / 4, MARGIN)))

    def check_steps(self, seconds: float, step: float) -> None:
        """Raises WaitTooLong if `seconds` take more than MOST_STEPS steps, with heartbeats at each."""
        if seconds > MOST_STEPS * step:
            raise WaitTooLong(
                f"by the timings of this server its test sends heartbeats every {step:g} s for {seconds:g} s, more "
                f"than {MOST_STEPS} times: set the server to timings that are nearer to one another"
            )

    def pass_time(self, seconds: float) -> None:
        """Let `seconds` pass for the groups that were added by this client."""
        self.bench.pass_time(seconds, groups=list(self.members))
