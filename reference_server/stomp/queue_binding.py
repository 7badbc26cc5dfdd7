"""The partitioned queue behind STOMP: operations by SEND, their replies, producer acknowledgements."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from reference_server.stomp.destinations import Broadcast, Message
from reference_server.stomp.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_server.queue.operations import Operations, Outcome, ProducerAcknowledgement
    from reference_server.stomp.frame import Frame
    from reference_server.stomp.limits import StompLimits
    from reference_server.stomp.session import Session
    from reference_server.stomp.subscriptions import Source

REPLIES = "/user/queue/replies"
ACKNOWLEDGEMENTS = ("/topic/acknowledgment/", "/topic/acknowledgement/")
"""Both spellings (PUB-ACK-1, PUB-ACK-2)."""

_POLL = "/consumer/poll"
_log = logging.getLogger(__name__)


class Asked:
    """Who waits for the answer of one operation; what a long poll is parked under."""

    __slots__ = ("correlation", "receipt", "session")

    def __init__(self, session: Session, correlation: str | None, receipt: str | None) -> None:
        self.session = session
        self.correlation = correlation
        self.receipt = receipt


class QueueBinding:
    """Performs operations for sessions and sends what they are told about it."""

    def __init__(self, operations: Operations, limits: StompLimits, numbers: Iterator[int]) -> None:
        self._operations = operations
        self._limits = limits
        self._numbers = numbers
        self._replies: dict[Session, Broadcast[Session]] = {}
        self._acknowledgements: dict[str, Broadcast[str]] = {}
        self._parked: dict[Session, set[Asked]] = {}
        self._silence: Broadcast[str] = Broadcast("", {})
        """What a subscription to the path of an operation listens to: replies come on REPLIES only."""
        self.serves = operations.is_operation

    def source(self, session: Session, destination: str) -> Source | None:
        """Return what a SUBSCRIBE to a destination of the queue listens to; None: it is none."""
        if destination == REPLIES:  # QSTOMP-REPLY-2: each session has its own
            return self._replies.setdefault(session, Broadcast(session, self._replies))
        if destination.startswith(ACKNOWLEDGEMENTS):
            return self._acknowledgements.setdefault(
                destination, Broadcast(destination, self._acknowledgements)
            )
        if self.serves(destination):  # clients do that, and rely on its being harmless
            return self._silence
        return None

    def perform(self, session: Session, frame: Frame) -> bool:
        """Perform the operation that a SEND asks for (QSTOMP-SEND-1); False: it is a long poll and waits.

        Raises ProtocolError where it is refused and has a receipt (PUB-RECEIPT-2, QSTOMP-RECEIPT-2).
        """
        headers = frame.headers
        path = headers["destination"]
        asked = Asked(session, headers.get("correlation-id"), headers.get("receipt"))
        waiter = asked if path == _POLL and self._may_wait(session) else None
        outcome = self._operations.perform(path, frame.body, now=session.queue_now, waiter=waiter)
        if outcome is None:
            self._parked.setdefault(session, set()).add(asked)
            return False
        self._answer(asked, outcome)
        return True

    def check_transactional(self, frame: Frame) -> None:
        """Raise ProtocolError for an operation in a transaction: it could not be undone (STOMP-TX-003)."""
        if self.serves(frame.headers["destination"]):
            raise ProtocolError(
                "operation in a transaction",
                "Operations are performed at once: leave the transaction header out.",
            )

    def answer_late(self, asked: Asked, outcome: Outcome) -> None:
        """Give a long poll its answer (POLL-WAIT-1, POLL-WAIT-2), and the receipt that waited for it."""
        self._forget(asked)
        session = asked.session
        try:
            self._answer(asked, outcome)
        except ProtocolError as error:
            session.refuse(error)
            return
        if asked.receipt is not None:
            session.grant(asked.receipt)

    def cancel(self, session: Session) -> None:
        """Forget the long polls of a session that is over."""
        for asked in self._parked.pop(session, ()):
            self._operations.cancel(asked)

    def acknowledge_producer(self, acknowledgement: ProducerAcknowledgement) -> None:
        """Send ACK or FAILED once to each subscription of either spelling (PUB-ACK-1 to 4, PUB-ACK-7)."""
        if not self._acknowledgements:
            return
        for spelling in ACKNOWLEDGEMENTS:
            destination = spelling + acknowledgement.topic
            subscribers = self._acknowledgements.get(destination)
            if subscribers is not None:
                headers = {"content-type": "application/json"}
                subscribers.put(Message(next(self._numbers), destination, headers, acknowledgement.body))

    def _may_wait(self, session: Session) -> bool:
        return len(self._parked.get(session, ())) < self._limits.long_polls

    def _forget(self, asked: Asked) -> None:
        parked = self._parked.get(asked.session)
        if parked is not None:
            parked.discard(asked)
            if not parked:
                del self._parked[asked.session]

    def _answer(self, asked: Asked, outcome: Outcome) -> None:
        """Reply, acknowledge to the producer, and raise ProtocolError for a refusal with receipt."""
        session = asked.session
        subscribers = self._replies.get(session)
        if subscribers is not None:
            subscribers.put(self._reply(asked, outcome))
        if outcome.acknowledgement is not None:
            self.acknowledge_producer(outcome.acknowledgement)
        if outcome.status < 400:
            return
        if asked.receipt is not None:
            raise ProtocolError(
                "operation refused",
                outcome.body.decode(errors="replace"),
                receipt=asked.receipt,
                headers=(("status", str(outcome.status)),),
            )
        if subscribers is None:  # QSTOMP-QUIET-1
            _log.info(
                "refused with nobody to tell: %d %s", outcome.status, outcome.body.decode(errors="replace")
            )

    def _reply(self, asked: Asked, outcome: Outcome) -> Message:
        # QSTOMP-REPLY-1
        headers = {"status": str(outcome.status)}
        if asked.correlation is not None:
            headers["correlation-id"] = asked.correlation
        if outcome.body:
            headers["content-type"] = outcome.content_type
        return Message(next(self._numbers), REPLIES, headers, outcome.body)
