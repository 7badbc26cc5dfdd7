"""Subscriptions to producer acknowledgements, on STOMP sessions of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.wire.failures import PeerFailure
from conformance.wire.json_values import decoded
from conformance.wire.operations import StompOperations

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame

SPELLINGS = ("acknowledgment", "acknowledgement")


class ListenerSession:
    """A STOMP session that can hold several listeners."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.operations = StompOperations(bench.stomp())
        self.client = self.operations.client

    def listen(self, topic: str, spelling: str = SPELLINGS[0]) -> Listener:
        """Subscribe to the producer acknowledgements of a topic; returns when the server has granted the receipt."""
        receipt = self.bench.fresh("listening")
        destination = f"/topic/{spelling}/{topic}"
        identifier = self.client.subscribe(destination, receipt=receipt)
        self.client.expect("RECEIPT", receipt_id=receipt)
        return Listener(self, identifier, destination)

    def fence(self) -> None:
        """Return when the server has processed everything that was sent before, also on other sessions."""
        self.operations.call(HEARTBEAT, {"consumer_name": self.bench.fresh("nobody")})


class Listener:
    """A subscription to the producer acknowledgements of one topic."""

    def __init__(self, session: ListenerSession, identifier: str, destination: str) -> None:
        self.session, self.destination = session, destination
        self._identifier = identifier

    def next_acknowledgement(self, clause: str, expected: str) -> Any:
        """Decoded body of the next acknowledgement; judges `clause` by a MESSAGE with a JSON object as its body.

        Raises PeerFailure if none arrives, unless the failed clause raises Violation first.
        """
        bench = self.session.bench
        try:
            frame = self.session.client.expect("MESSAGE", self._is_ours)
        except PeerFailure as failure:
            bench.judge(
                clause, False, expected=f"{expected} at {self.destination}", observed=failure.observed
            )
            raise
        body = decoded(frame.body)
        bench.judge(clause, isinstance(body, dict), expected=expected, observed=frame)
        return body

    def remaining(self) -> list[Any]:
        """Decoded bodies of the acknowledgements that were not taken yet, after a fence."""
        # Twice: a message to another session may still be under way when the first reply arrives.
        self.session.fence()
        self.session.fence()
        return [decoded(frame.body) for frame in self.session.client.take("MESSAGE", self._is_ours)]

    def _is_ours(self, frame: Frame) -> bool:
        return frame.get("subscription") == self._identifier
