"""A shard, and the commands that clients of it would cause."""

from __future__ import annotations

from typing import Any

from reference_server.kafka import commands as c
from reference_server.kafka.shard import Shard
from reference_server.queue.settings import QueueSettings

TIMEOUT = 10.0
NEWS = c.TopicRef("news", 3, 0, 2, "stompliance-news-1")
SPORT = c.TopicRef("sport", 5, 2, 3, "stompliance-sport-2")


def shard() -> Shard:
    """An empty shard."""
    return Shard(QueueSettings(heartbeat_timeout=TIMEOUT, rebalance_timeout=30.0))


class Feed:
    """Feeds a shard, at times that the test sets."""

    def __init__(self, machine: Shard) -> None:
        self.machine = machine
        self.now = 1000.0
        self._offset = 0

    def __call__(self, command: c.Command) -> Any:
        """Apply a command as it comes out of the log; raises what it raises."""
        self._offset += 1
        return self.machine.apply(c.decode(c.encode(command)), self.now, self._offset)

    def member(self, name: str, *topics: c.TopicRef, group: str = "g", claim: int = 7) -> None:
        """Register a consumer in a group that is added if need be, and subscribe it."""
        self(c.AddGroup(group))
        self(c.Register(group, name, claim, self.now))
        if topics:
            self(c.Subscribe(name, list(topics)))
