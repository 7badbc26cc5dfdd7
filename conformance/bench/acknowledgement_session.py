"""STOMP sessions that listen to producer acknowledgements, with or without replies as their fence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.wire.operations import StompOperations

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.acknowledged_publishing import AcknowledgedPublishing

_HEARTBEAT = "/consumer/heartbeat"


class AcknowledgementSession:
    """A session with subscriptions to acknowledgements.

    A refused heartbeat is the fence where the queue's STOMP binding is judged: its reply comes after all earlier
    messages. Elsewhere a record of the session's own is, and its acknowledgement.
    """

    def __init__(self, bench: Bench) -> None:
        self._operations: StompOperations | AcknowledgedPublishing
        if bench.claims("queue-stomp") and bench.binding != "stomp-publish":
            self._operations = StompOperations(bench.stomp())
            self._fence = _HEARTBEAT, {"consumer_name": bench.fresh("unknown")}
        else:
            topic = bench.fresh("fence")
            bench.queue().add_topic(topic)
            self._operations = bench.acknowledged_publishing()
            self._fence = f"/producer/publish/{topic}", {"messageID": "fence", "message": "fence"}
        self.client = self._operations.client

    def subscribe(self, destination: str) -> str:
        """Subscribe, and return the id once the server has processed the SUBSCRIBE. Raises PeerFailure."""
        identifier = self.client.subscribe(destination)
        self.fence()
        return identifier

    def fence(self) -> None:
        """Return once the server has processed all frames sent before, also on other sessions. Raises PeerFailure."""
        self._operations.call(*self._fence)
