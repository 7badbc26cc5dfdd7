"""Subscriptions to the acknowledgements of producers, on STOMP sessions of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.wire.failures import PeerFailure
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
        """Subscribe to what producers of the topic are told; returns when the server has taken it."""
        receipt = self.bench.fresh("listening")
        destination = f"/topic/{spelling}/{topic}"
        identifier = self.client.subscribe(destination, receipt=receipt)
        self.client.expect("RECEIPT", receipt_id=receipt)
        return Listener(self, identifier, destination)

    def fence(self) -> None:
        """Return when the server has worked off what came before, also on other sessions."""
        self.operations.call(HEARTBEAT, {"consumer_name": self.bench.fresh("nobody")})


class Listener:
    """One subscription to the acknowledgements of a topic."""

    def __init__(self, session: ListenerSession, identifier: str, destination: str) -> None:
        self.session, self.destination = session, destination
        self._identifier = identifier

    def next_acknowledgement(self, clause: str, expected: str) -> Any:
        """The body of the next acknowledgement, decoded; judges `clause` where none comes, or no JSON."""
        bench = self.session.bench
        try:
            frame = self.session.client.expect("MESSAGE", self._is_ours)
        except PeerFailure as failure:
            bench.judge(
                clause, False, expected=f"{expected} at {self.destination}", observed=failure.observed
            )
            raise
        body = _decoded(frame)
        bench.judge(clause, isinstance(body, dict), expected=expected, observed=frame)
        return body

    def remaining(self) -> list[Any]:
        """The bodies of all that has come besides, when the server is past what was asked of it."""
        # Twice: what one session did may still be under way to another when the first answer comes.
        self.session.fence()
        self.session.fence()
        return [_decoded(frame) for frame in self.session.client.take("MESSAGE", self._is_ours)]

    def _is_ours(self, frame: Frame) -> bool:
        return frame.get("subscription") == self._identifier


def _decoded(frame: Frame) -> Any:
    try:
        return json.loads(frame.body)
    except ValueError:
        return None
