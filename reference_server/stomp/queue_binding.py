"""The partitioned queue behind STOMP: operations by SEND, their replies, producer acknowledgements."""

from collections.abc import Iterator

import msgspec

from reference_server.budget import Budget, Charge
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome, ProducerAcknowledgement
from reference_server.queue.refusal import cause_of
from reference_server.stomp.destinations import Broadcast, Message, Source
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.outlet import OPERATION_REFUSED, Outlet

REPLIES = "/user/queue/replies"
ACKNOWLEDGEMENTS = ("/topic/acknowledgment/", "/topic/acknowledgement/")
"""Both spellings (PUB-ACK-1, PUB-ACK-2)."""

_POLL = "/consumer/poll"
_WAIT_OCTETS = 500
"""Octets that a waiting long poll takes besides its texts."""


class ReplyAddress(msgspec.Struct, eq=False):
    """The session, correlation id and receipt that the reply to one operation needs; a long poll is parked under it."""

    outlet: Outlet
    correlation: str | None
    receipt: str | None
    charge: Charge | None = None
    """Of one that waits: its octets in the budget of the server."""


def _octets_of(address: ReplyAddress) -> int:
    return _WAIT_OCTETS + 3 * (len(address.correlation or "") + len(address.receipt or ""))


class QueueBinding:
    """Performs operations for sessions, and sends replies and producer acknowledgements."""

    def __init__(
        self, operations: Operations, limits: StompLimits, numbers: Iterator[int], budget: Budget
    ) -> None:
        self._budget = budget
        self._operations = operations
        self._limits = limits
        self._numbers = numbers
        self._replies: dict[Outlet, Broadcast] = {}
        self._acknowledgements: dict[str, Broadcast] = {}
        self._parked: dict[Outlet, set[ReplyAddress]] = {}
        self._silence: Broadcast = Broadcast("", {})
        """The source of a subscription to the path of an operation: replies come on REPLIES only."""
        self.serves = operations.is_operation

    def source(self, outlet: Outlet, destination: str) -> Source | None:
        """Return the source of a SUBSCRIBE to a destination of the queue; None if it is none."""
        if destination == REPLIES:  # QSTOMP-REPLY-2: each session has its own
            return Broadcast.of(outlet, self._replies)
        if destination.startswith(ACKNOWLEDGEMENTS):
            return Broadcast.of(destination, self._acknowledgements)
        if self.serves(destination):  # some clients subscribe there, and expect no ERROR
            return self._silence
        return None

    def perform(self, outlet: Outlet, frame: Frame) -> bool:
        """Perform the operation of a SEND (QSTOMP-SEND-1); return False if it is a long poll that waits.

        Raises ProtocolError if it is refused and has a receipt (PUB-RECEIPT-2, QSTOMP-RECEIPT-2).
        """
        headers = frame.headers
        path = headers["destination"]
        address = ReplyAddress(outlet, headers.get("correlation-id"), headers.get("receipt"))
        may_wait = path == _POLL and self._may_wait(address)
        waiter = address if may_wait else None
        outcome = self._operations.perform(path, frame.body, now=outlet.queue_now, waiter=waiter)
        if outcome is None:
            self.note_parked(address)
            return False
        self._answer(address, outcome)
        return True

    def note_parked(self, address: ReplyAddress) -> None:
        """Note a long poll that waits."""
        self._parked.setdefault(address.outlet, set()).add(address)
        address.charge = Charge(self._budget, _octets_of(address))

    def answer_late(self, address: ReplyAddress, outcome: Outcome) -> None:
        """Send the answer of a long poll (POLL-WAIT-1, POLL-WAIT-2) and its receipt."""
        outlet = address.outlet
        self._parked.get(outlet, set()).discard(address)  # `cancel` ends the set with its session
        try:
            self._answer(address, outcome)
        except ProtocolError as error:
            outlet.refuse(error)
            return
        if address.receipt is not None:
            outlet.grant(address.receipt)

    def cancel(self, outlet: Outlet) -> None:
        """End the long polls of a session that is over."""
        for address in self._parked.pop(outlet, ()):
            self._operations.long_polls.cancel(address)

    def acknowledge_producer(self, acknowledgement: ProducerAcknowledgement) -> None:
        """Send ACK or FAILED once to each subscription of either spelling (PUB-ACK-1 to 4, PUB-ACK-7)."""
        if not self._acknowledgements:
            return
        headers = {"content-type": "application/json"}
        for spelling in ACKNOWLEDGEMENTS:
            destination = spelling + acknowledgement.topic
            subscribers = self._acknowledgements.get(destination)
            if subscribers is not None:
                subscribers.put(Message(next(self._numbers), destination, headers, acknowledgement.body))

    def _may_wait(self, address: ReplyAddress) -> bool:
        """Return whether one more long poll of the session may wait; if not, it is answered at once."""
        is_few = len(self._parked.get(address.outlet, ())) < self._limits.long_polls
        return is_few and self._budget.has_room(_octets_of(address))

    def _answer(self, address: ReplyAddress, outcome: Outcome) -> None:
        """Reply and acknowledge to the producer; raises ProtocolError for a refusal with a receipt."""
        outlet = address.outlet
        subscribers = self._replies.get(outlet)
        if subscribers is not None:
            subscribers.put(self._reply(address, outcome))
        if outcome.acknowledgement is not None:
            self.acknowledge_producer(outcome.acknowledgement)
        if outcome.status < 400:
            return
        outlet.note_refusal(cause_of(outcome.body), status=outcome.status)  # QSTOMP-QUIET-1
        if address.receipt is not None:
            problem, status = outcome.body.decode(errors="replace"), (("status", str(outcome.status)),)
            raise ProtocolError(OPERATION_REFUSED, problem, receipt=address.receipt, headers=status)

    def _reply(self, address: ReplyAddress, outcome: Outcome) -> Message:
        # QSTOMP-REPLY-1
        headers = {"status": str(outcome.status)}
        if address.correlation is not None:
            headers["correlation-id"] = address.correlation
        if outcome.body:
            headers["content-type"] = outcome.content_type
        return Message(next(self._numbers), REPLIES, headers, outcome.body)
