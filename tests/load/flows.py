"""Flows of messages with a window of unanswered ones, and the loop that keeps the windows full."""

from __future__ import annotations

import math
import selectors
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.load.connection import PATIENCE, Connection, LoadFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.load.frames import Supply


@dataclass(frozen=True)
class Bounds:
    """End of a workload: this many messages over all flows, or this many seconds, whichever comes first."""

    messages: int
    seconds: float

    def part(self, share: float) -> Bounds:
        """Bounds of a part of the workload."""
        return Bounds(max(1, int(self.messages * share)), self.seconds * share)


@dataclass(eq=False)
class Flow:
    """Messages from one connection whose answers come to the same or to another one.

    `count` returns the number of answers in octets that were received.
    """

    sender: Connection
    receiver: Connection
    supply: Supply
    window: int
    count: Callable[[bytes], int]
    sent: int = 0
    answered: int = 0
    limit: int = 0

    def fill(self) -> None:
        """Send what the window has room for, but no less than an eighth of it at once."""
        free = self.window - (self.sent - self.answered)
        if free >= self.window // 8 and (room := min(free, self.limit - self.sent)) > 0:
            self.sent += room
            self.sender.send(self.supply.take(room))

    def advance(self) -> None:
        """Receive and count answers, and send as many messages."""
        self.answered += self.count(self.receiver.receive())
        self.fill()


def run(flows: Sequence[Flow], bounds: Bounds) -> None:
    """Send within the bounds, and wait for all answers.

    Raises LoadFailed after PATIENCE seconds without an answer, and where there are more answers than messages.
    """
    with selectors.DefaultSelector() as selector:
        for flow in flows:
            flow.limit = flow.sent + max(1, bounds.messages // len(flows))
            selector.register(flow.receiver, selectors.EVENT_READ, flow.advance)
            if flow.sender is not flow.receiver:  # there is nothing to read but an ERROR
                selector.register(flow.sender, selectors.EVENT_READ, flow.sender.receive)
        end = time.perf_counter() + bounds.seconds
        for flow in flows:
            flow.fill()
        while any(flow.answered < flow.limit for flow in flows):
            ready = selector.select(PATIENCE)
            if not ready:
                raise LoadFailed(f"{_tally(flows)}, and nothing more within {PATIENCE:g} s")
            for key, _ in ready:
                key.data()
            if time.perf_counter() > end:
                end = math.inf
                for flow in flows:
                    flow.limit = flow.sent
    if any(flow.answered != flow.sent for flow in flows):
        raise LoadFailed(_tally(flows))


def _tally(flows: Sequence[Flow]) -> str:
    sent, answered = sum(flow.sent for flow in flows), sum(flow.answered for flow in flows)
    return f"{answered} answers to {sent} messages"
