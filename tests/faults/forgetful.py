"""A server in memory that forgets a part of its state on SIGUSR1, as one whose disk lags behind its answers does.

SIGUSR2 cuts all connections besides, as the end of its process would.

    python -m tests.faults.forgetful commits --port 0 --heartbeat-timeout 2

It prints the URL and its process id. `nothing` is a server that keeps all it has promised.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from reference_server.config import build
from reference_server.server import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reference_server.queue.broker import QueueBroker
    from reference_server.queue.group import Cursor

#: Records of a partition that a restart loses, or delivers again.
FORGOTTEN = 3


def _cursors(broker: QueueBroker) -> Iterator[Cursor]:
    for group in broker.groups.values():
        for cursors in group.cursors.values():
            yield from cursors


def commits(broker: QueueBroker) -> None:
    """Go back behind the last committed offsets."""
    for cursor in _cursors(broker):
        if cursor.in_flight is None:
            cursor.committed = max(cursor.partition.oldest, cursor.committed - FORGOTTEN)


def skips(broker: QueueBroker) -> None:
    """Take the next records for acknowledged."""
    for cursor in _cursors(broker):
        if cursor.in_flight is None:
            cursor.committed = min(cursor.partition.end, cursor.committed + 1)


def records(broker: QueueBroker) -> None:
    """Lose the last records, and give their offsets to others."""
    for topic in broker.topics.values():
        for partition in topic.partitions:
            for _ in range(FORGOTTEN):
                if partition.records:
                    partition.octets -= len(partition.records[-1].message)
                    partition.records.pop()
                    partition.ids.pop()
                    partition.costs.pop()
    for cursor in _cursors(broker):
        if cursor.in_flight is None:
            cursor.committed = min(cursor.committed, cursor.partition.end)


def members(broker: QueueBroker) -> None:
    """Forget all consumers."""
    for group in broker.groups.values():
        for consumer in list(group.members.values()):
            group.leave(consumer, broker.now)
            broker.consumers.pop(consumer.name, None)


def names(broker: QueueBroker) -> None:
    """Forget all topics, groups and consumers."""
    broker.topics.clear()
    broker.groups.clear()
    broker.consumers.clear()


def nothing(_broker: QueueBroker) -> None:
    """Forget nothing."""


KINDS: dict[str, Callable[[QueueBroker], None]] = {
    each.__name__: each for each in (nothing, commits, skips, records, members, names)
}


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM."""
    forget, (_, port, _, timeout) = KINDS[arguments[0]], arguments[1:5]
    signals = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    settings = {"port": int(port), "heartbeat_timeout": float(timeout), "rebalance_timeout": float(timeout)}
    with running.Server(build(None, {}, settings)) as server:
        print(server.url, flush=True)
        while (number := signal.sigwait(signals)) in {signal.SIGUSR1, signal.SIGUSR2}:
            server.application.look(lambda _peers: forget(server.application._broker))
            if number == signal.SIGUSR2:
                server.listener.cut_all()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
