"""The toy queue behind a slow connection: real time, and replies that take long."""

import random

from conformance.models.members import Timings
from tests.models.toy_adapters import ToyQueueAdapter
from tests.models.toy_queue import Choices, ToyReply


class SlowQueueAdapter(ToyQueueAdapter):
    """A `QueueUnderTest` with a real clock, which is counted instead of waited for.

    An operation reaches the queue some time after it was sent, and its reply arrives some time later: mostly a
    moment, sometimes a large part of the heartbeat timeout or more than all of it.
    """

    time_is_virtual = False

    def __init__(self, choices: Choices, *, bare: bool = False, seed: int = 0) -> None:
        super().__init__(choices, bare=bare)
        self.extensions -= {"virtual-clock"}
        self.timings = Timings(choices.heartbeat_timeout, choices.eviction_grace, choices.rebalance_timeout)
        self.clock = 1_000.0
        self.random = random.Random(seed)

    def spend(self) -> None:
        """Let time pass, seldom much."""
        longest = self.random.choices(
            (0.002, 0.3, 0.6 * self.timings.heartbeat_timeout, 1.5 * self.timings.heartbeat_timeout),
            (90, 8, 1.5, 0.5),
        )[0]
        self.wait(self.random.uniform(0.0, longest))

    def wait(self, seconds: float) -> None:
        """Let time pass for all groups; the queue evicts members in time, not at the next operation."""
        self.clock += seconds
        for group in self.queue.groups.values():
            while due := [at for at in map(self.queue.due, group.members.values()) if at < self.clock]:
                group.now = max(group.now, min(due))
                self.queue.tick(group)
            group.now = self.clock

    def call(self, path: str, body: object) -> ToyReply:
        self.spend()
        reply = super().call(path, body)
        self.wait(0.0)
        self.spend()
        return reply

    def now(self, group: str) -> float:
        del group
        return self.clock

    def pass_time(self, seconds: float, group: str) -> None:
        raise AssertionError(f"the clock of {group} is real: it cannot be advanced by {seconds} s")

    def pause(self) -> None:
        self.wait(self.random.uniform(0.0, self.timings.rebalance_timeout / 10))
