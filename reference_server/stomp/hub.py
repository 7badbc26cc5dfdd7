"""What all sessions of a server share: destinations, the queue's operations, timers, and who has output."""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING

from reference_server.deadlines import Deadlines
from reference_server.stomp.destinations import QUEUES, Destinations, Message, is_plain
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, Asked, QueueBinding

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from reference_server.queue.operations import Operations, Outcome, ProducerAcknowledgement
    from reference_server.stomp.frame import Frame
    from reference_server.stomp.limits import StompLimits
    from reference_server.stomp.session import Session
    from reference_server.stomp.subscriptions import Source


class Hub:
    """Plain destinations, acknowledgement subscribers, the queue's operations and the timers of all sessions.

    Every method is called under the application lock. Times are seconds of wall time (any monotonic clock).
    """

    def __init__(
        self,
        operations: Operations,
        limits: StompLimits,
        *,
        users: Mapping[str, str] | None = None,
        server_name: str = "stompliance/0.1",
    ) -> None:
        """`users` maps login to passcode; None or empty: anybody may connect.

        `server_name` is a name, a slash and a version (STOMP-CONNECT-009).
        """
        self.limits = limits
        self.users = dict(users or {})
        self.server_name = server_name
        self.now = 0.0
        self.numbers = itertools.count(1)
        """Numbers of messages and of deliveries, unique on this server."""
        self.binding = QueueBinding(operations, limits, self.numbers)
        self._operations = operations
        self._destinations = Destinations(limits)
        self._touched: list[Session] = []
        self._deadlines: Deadlines[Session] = Deadlines()
        self._serial = itertools.count()
        self._name = secrets.token_hex(4)

    # For the I/O layer.

    def touched(self) -> list[Session]:
        """Sessions with new output, or newly `closing` or `stalled`, since the last call; may name one twice."""
        touched, self._touched = self._touched, []
        return touched

    def operations_answered(self, now: float) -> list[tuple[Hashable, Outcome]]:
        """Answer the long polls of STOMP sessions that are ready; those of other bindings are returned.

        Call it after anything that may make a record available: `handle`, an operation over HTTP, a tick of
        the queue, a move of the clock.
        """
        self.now = now
        others = []
        for waiter, outcome in self._operations.answered():
            if isinstance(waiter, Asked):
                self.binding.answer_late(waiter, outcome)
            else:
                others.append((waiter, outcome))
        return others

    def acknowledge_producer(self, acknowledgement: ProducerAcknowledgement) -> None:
        """Send ACK or FAILED to the subscribers of both spellings; HTTP calls it too (PUB-ACK-8)."""
        self.binding.acknowledge_producer(acknowledgement)

    def tick(self, now: float) -> None:
        """Do what is due: heart-beats, silent clients, frames that do not come or end."""
        self.now = now
        for session in self._deadlines.take_due(now):
            session.on_time(now)
            if not session.closing:
                self.schedule(session, session.deadline())

    def next_deadline(self) -> float:
        """Wall time in seconds at which `tick` has work, or an earlier time; infinite if there is none."""
        return self._deadlines.next

    # For sessions.

    def touch(self, session: Session) -> None:
        """Note that the I/O layer has something to do for a session."""
        self._touched.append(session)

    def opened(self, session: Session) -> None:
        """Note a new session."""
        self.schedule(session, session.deadline())

    def closed(self, session: Session) -> None:
        """Note that a session is over."""
        self._deadlines.remove(session)
        self.touch(session)

    def schedule(self, session: Session, when: float) -> None:
        """Have `on_time` of a session called at that wall time, unless that is to happen earlier."""
        self._deadlines.set(session, when)

    def name_session(self) -> str:
        """Make a value for the `session` header (STOMP-CONNECT-010)."""
        return f"{self._name}-{next(self._serial)}"

    def source(self, session: Session, destination: str) -> Source:
        """Return what a SUBSCRIBE listens to; raises ProtocolError (STOMP-SUB-002, QSTOMP-DEST-1)."""
        source = self.binding.source(session, destination)
        if source is None and is_plain(destination):
            source = self._destinations.source(destination)
        if source is None:
            raise _unknown(destination)
        return source

    def send(self, session: Session, frame: Frame) -> bool:
        """Obey a SEND now; return whether it is done, which a long poll is not. Raises ProtocolError."""
        destination = frame.headers.get("destination", "")
        if not destination.startswith(QUEUES) and self.binding.serves(destination):
            return self.binding.perform(session, frame)
        self.check_destination(frame)
        # STOMP-SEND-002, STOMP-SEND-005
        self._destinations.put(Message(next(self.numbers), destination, frame.headers, frame.body))
        return True

    def check_destination(self, frame: Frame) -> None:
        """Raise ProtocolError where nothing can be sent (STOMP-SEND-001, STOMP-SEND-003, QSTOMP-DEST-1)."""
        destination = frame.headers.get("destination")
        if destination is None:
            raise ProtocolError("SEND without destination", "Name the destination of the message.")
        if destination.startswith(ACKNOWLEDGEMENTS):
            raise ProtocolError(
                "destination of the server", "Producer acknowledgements come from the server only."
            )
        if not is_plain(destination) and not self.binding.serves(destination):
            raise _unknown(destination)

    def check_together(self, frames: list[Frame]) -> None:
        """Raise ProtocolError unless all these SENDs to plain destinations can be obeyed (STOMP-TX-003)."""
        self._destinations.check_room(
            Message(0, frame.headers["destination"], frame.headers, frame.body) for frame in frames
        )


def _unknown(destination: str) -> ProtocolError:
    return ProtocolError(
        "unknown destination",
        f"{destination[:200]!r} is neither an operation nor below /queue/ or /topic/.",
    )
