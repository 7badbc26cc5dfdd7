"""The queue behind STOMP, on a log: operations are taken with their frames and performed after them."""

import msgspec

from reference_server.kafka.waiting import Waiting
from reference_server.queue.operation_table import POLL
from reference_server.stomp.destinations import QUEUES, TOPICS, Source
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame
from reference_server.stomp.outlet import Outlet
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, QueueBinding, ReplyAddress
from reference_server.stomp.router import Router


class Asked(msgspec.Struct):
    """An operation that a session asked for."""

    address: ReplyAddress
    path: str
    body: bytes
    may_wait: bool


class LogBinding(QueueBinding):
    """Operations by SEND, which are performed after the frame, and answered after that."""

    asked: list[Asked]
    waiting: Waiting

    def perform(self, outlet: Outlet, frame: Frame) -> bool:
        """Take the operation of a SEND; `LogApplication.handle` performs it."""
        headers = frame.headers
        address = ReplyAddress(outlet, headers.get("correlation-id"), headers.get("receipt"))
        path = headers["destination"]
        may_wait = path == POLL and self._may_wait(address)
        self.asked.append(Asked(address, path, frame.body, may_wait))
        return False

    def note_unparked(self, address: ReplyAddress) -> None:
        """Note that it does not."""
        self._parked.get(address.outlet, set()).discard(address)
        address.charge = None

    def cancel(self, outlet: Outlet) -> None:
        """End the long polls of a session that is over."""
        for address in self._parked.pop(outlet, ()):
            self.waiting.cancel(address)

    def listened_topics(self) -> set[str]:
        """The topics to whose producer acknowledgements somebody is subscribed."""
        return {
            destination.removeprefix(prefix)
            for destination in self._acknowledgements
            for prefix in ACKNOWLEDGEMENTS
            if destination.startswith(prefix)
        }


class LogRouter(Router):
    """The queue's destinations alone."""

    def source(self, outlet: Outlet, destination: str) -> Source:
        """Return the source of a SUBSCRIBE; raises ProtocolError for a plain destination (QSTOMP-DEST-1)."""
        source = self.binding.source(outlet, destination)
        if source is None:
            raise _not_served(destination)
        return source

    def _check_destination(self, frame: Frame) -> None:
        destination = frame.headers.get("destination")
        if destination is None:
            raise ProtocolError("SEND without destination", "Name the destination of the message.")
        if destination.startswith(ACKNOWLEDGEMENTS):
            raise ProtocolError("destination of the server", "Only the server sends acknowledgements.")
        if destination.startswith(QUEUES) or not self.binding.serves(destination):
            raise _not_served(destination)


def _not_served(destination: str) -> ProtocolError:
    if destination.startswith((QUEUES, TOPICS)):
        advice = (
            f"{destination[:200]!r} is a plain destination: this server keeps all in a log, and serves the operations "
            "of the queue only, such as /producer/publish/NAME. A server without --log has plain destinations."
        )
        return ProtocolError("no plain destinations", advice)
    return ProtocolError("unknown destination", f"{destination[:200]!r} is no operation.")
