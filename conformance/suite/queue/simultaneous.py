"""Operations that are sent at the same moment, each on a connection of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.wire.operations import HttpOperations, StompOperations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.operations import Operations, Reply


class Simultaneous:
    """Open connections in the binding of the test, over which operations go out one right behind the other."""

    def __init__(self, bench: Bench, count: int) -> None:
        """Prepare `count` connections."""
        self._bench = bench
        self._nobody = bench.fresh("nobody")
        self._clients = [self._open() for _ in range(count)]

    def _open(self) -> Operations:
        if self._bench.binding == "queue-stomp":
            return StompOperations(self._bench.stomp())
        http = self._bench.http()
        return HttpOperations(http, lambda: http)

    def perform(self, operations: Sequence[tuple[str, object]]) -> list[Reply]:
        """Send one operation, a path and a body, on each connection; returns the replies in this order.

        Each connection answers another request before, so that none of them has to be made at that moment.

        Raises PeerFailure if a reply does not come.
        """
        clients = self._clients[: len(operations)]
        for client in clients:
            if self._bench.binding == "queue-http":
                client.close()  # a server may close a connection that was idle for a moment
            client.call(HEARTBEAT, {"consumer_name": self._nobody})
        pending = [client.start(path, body) for client, (path, body) in zip(clients, operations, strict=True)]
        replies = [each.reply() for each in pending]
        self._bench.step(
            "at the same moment: "
            + "; ".join(
                f"{path} {body} -> {reply}" for (path, body), reply in zip(operations, replies, strict=True)
            )
        )
        return replies
