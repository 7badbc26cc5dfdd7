"""Subscriptions to producer acknowledgements, on STOMP sessions of their own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from conformance.bench.acknowledgement_session import AcknowledgementSession
from conformance.wire.failures import PeerFailure
from conformance.wire.json_values import decoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame

SPELLINGS = ("acknowledgment", "acknowledgement")


class ListenerSession:
    """A STOMP session that can hold several listeners."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._session = AcknowledgementSession(bench)
        self.client = self._session.client

    def listen(self, topic: str, spelling: str = "") -> Listener:
        """Subscribe to the producer acknowledgements of a topic; returns when the server has processed that.

        Without a `spelling` the first of `spellings_of` is taken.
        """
        destination = f"/topic/{spelling or spellings_of(self.bench)[0]}/{topic}"
        return Listener(self, self._session.subscribe(destination), destination)

    def fence(self) -> None:
        """Return when the server has processed everything that was sent before, also on other sessions."""
        self._session.fence()


def spellings_of(bench: Bench) -> tuple[str, ...]:
    """Spellings under which the server has to send acknowledgements: both, or the one of a stomp-publish server."""
    return (bench.publish_spelling().word.split("/")[2],) if bench.binding == "stomp-publish" else SPELLINGS


class Listener:
    """A subscription to the producer acknowledgements of one topic."""

    def __init__(self, session: ListenerSession, identifier: str, destination: str) -> None:
        self.session, self.destination = session, destination
        self.identifier = identifier
        """The id of the SUBSCRIBE."""

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

    def expect_acknowledgements(self, clause: str, labels: Sequence[str | int]) -> None:
        """Read as many acknowledgements as there are labels, in any order; judges `clause` by a missing one, PUB-ACK-4
        by one too many, and PUB-ACK-6 by their labels.

        Raises PeerFailure if one is missing, unless the failed clause raises Violation first.
        """
        came: list[Any] = []
        for _ in labels:
            come = f"{len(labels)} ACKs, of which {len(came)} have come"
            came.append(self.next_acknowledgement(clause, come))
        judge = self.session.bench.judge
        are_acks = all(body.get("acknowledgementMessage") == "ACK" for body in came)
        if are_acks and Counter(str(body.get("messageId")) for body in came) == Counter(map(str, labels)):
            judge("PUB-ACK-6", True, expected="the labels that were sent", observed=labels)
            return
        more = self.remaining()
        judge("PUB-ACK-4", not more, expected=f"{len(labels)} ACKs and no more", observed=[*came, *more])
        judge("PUB-ACK-6", False, expected=f"one ACK for each of the labels {labels}", observed=came)

    def remaining(self) -> list[Any]:
        """Decoded bodies of the acknowledgements that were not taken yet, after a fence."""
        # Twice: a message to another session may still be under way when the first reply arrives.
        self.session.fence()
        self.session.fence()
        return [decoded(frame.body) for frame in self.session.client.take("MESSAGE", self._is_ours)]

    def _is_ours(self, frame: Frame) -> bool:
        return frame.get("subscription") == self.identifier
