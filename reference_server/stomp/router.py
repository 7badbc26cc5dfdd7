"""Routing of SEND and SUBSCRIBE: to plain destinations or to the queue."""

import itertools

from reference_server.budget import Budget
from reference_server.queue.operations import Operations
from reference_server.stomp.destinations import QUEUES, Destinations, Message, Source
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.outlet import Outlet
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, QueueBinding


class Router:
    """All destinations of a server."""

    def __init__(self, operations: Operations, limits: StompLimits, budget: Budget) -> None:
        self.budget = budget
        self.numbers = itertools.count(1)
        """Numbers of messages and of deliveries, unique on the server."""
        self.binding = QueueBinding(operations, limits, self.numbers, budget)
        self.destinations = Destinations(limits, budget)

    def source(self, outlet: Outlet, destination: str) -> Source:
        """Return the source of a SUBSCRIBE; raises ProtocolError (STOMP-SUB-002, QSTOMP-DEST-1)."""
        source = self.binding.source(outlet, destination) or self.destinations.source(destination)
        if source is None:
            raise _unknown(destination)
        return source

    def send(self, outlet: Outlet, frame: Frame) -> bool:
        """Process a SEND now; return False if it is a long poll that waits. Raises ProtocolError."""
        destination = frame.headers.get("destination", "")
        if not destination.startswith(QUEUES) and self.binding.serves(destination):
            return self.binding.perform(outlet, frame)
        self._check_destination(frame)
        # STOMP-SEND-002, STOMP-SEND-005
        self.destinations.put(Message(next(self.numbers), destination, frame.headers, frame.body))
        return True

    def check_transactional(self, frame: Frame) -> None:
        """Raise ProtocolError if a SEND cannot be part of a transaction (STOMP-TX-003)."""
        self._check_destination(frame)
        if self.binding.serves(frame.headers["destination"]):  # an operation cannot be undone
            raise ProtocolError("operation in a transaction", "Leave the transaction header out.")

    def check_together(self, frames: list[Frame]) -> None:
        """Raise ProtocolError unless all these SENDs to plain destinations fit together (STOMP-TX-003)."""
        self.destinations.check_room(
            Message(0, frame.headers["destination"], frame.headers, frame.body) for frame in frames
        )

    def _check_destination(self, frame: Frame) -> None:
        """Raise ProtocolError if nothing can be sent there (STOMP-SEND-001, STOMP-SEND-003, QSTOMP-DEST-1)."""
        destination = frame.headers.get("destination")
        if destination is None:
            raise ProtocolError("SEND without destination", "Name the destination of the message.")
        if destination.startswith(ACKNOWLEDGEMENTS):
            raise ProtocolError("destination of the server", "Only the server sends acknowledgements.")
        if not self.destinations.serves(destination) and not self.binding.serves(destination):
            raise _unknown(destination)


def _unknown(destination: str) -> ProtocolError:
    advice = f"{destination[:200]!r} is neither an operation nor below /queue/ or /topic/."
    return ProtocolError("unknown destination", advice)
