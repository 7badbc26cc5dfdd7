"""All sessions of a server, as the I/O layer drives them."""

from collections.abc import Hashable, Mapping

from reference_server.budget import Budget
from reference_server.events import Events
from reference_server.queue.operations import Operations, Outcome, ProducerAcknowledgement
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.queue_binding import ReplyAddress
from reference_server.stomp.router import Router
from reference_server.stomp.session import Session
from reference_server.stomp.shared import Shared


class Hub:
    """Opens sessions, runs their timers and collects those with output.

    Every method is called under the application lock. Times are seconds of wall time (any monotonic clock).
    """

    def __init__(
        self,
        operations: Operations,
        limits: StompLimits,
        *,
        users: Mapping[str, str] | None = None,
        server_name: str = "stompliance/0.1",
        budget: Budget | None = None,
        events: Events | None = None,
    ) -> None:
        """`users` maps login to passcode; if there are none, no login is needed.

        `server_name` is a name, a slash and a version (STOMP-CONNECT-009).
        """
        self._operations = operations
        self._router = Router(operations, limits, budget or Budget(limits.total_bytes))
        self._shared: Shared[Session] = Shared(
            self._router, limits, users or {}, server_name, events or Events()
        )

    def open(self, *, lenient: bool, now: float, address: str = "") -> Session:
        """Open a session; `lenient`: /producer and /consumer; `address` is the client's."""
        return Session(self._shared, lenient=lenient, now=now, address=address)

    def check_user(self, login: str, passcode: str, address: str, now: float) -> None:
        """Raise ProtocolError as CONNECT does. This method alone needs no lock."""
        self._shared.check_user(login, passcode, address, now)

    def touched(self) -> list[Session]:
        """Sessions with new output, or newly `closing` or `stalled`, since the last call; may name one twice."""
        touched, self._shared.touched = self._shared.touched, []
        self._router.destinations.made = 0
        return touched

    def operations_answered(self, now: float) -> list[tuple[Hashable, Outcome]]:
        """Send the answers of the long polls of sessions that ended; return those of other bindings.

        Call it after anything that may make a record available: `handle`, an operation over HTTP, a tick of
        the queue, an advance of its clock.
        """
        self._shared.now = now
        others = []
        for waiter, outcome in self._operations.answered():
            if isinstance(waiter, ReplyAddress):
                self._router.binding.answer_late(waiter, outcome)
            else:
                others.append((waiter, outcome))
        return others

    def acknowledge_producer(self, acknowledgement: ProducerAcknowledgement) -> None:
        """Send ACK or FAILED of a publish over HTTP to subscribers (PUB-ACK-8)."""
        self._router.binding.acknowledge_producer(acknowledgement)

    def tick(self, now: float) -> None:
        """Do what is due: heart-beats, silent clients, frames that do not come or end."""
        self._shared.now = now
        for session in self._shared.deadlines.take_due(now):
            session.on_time(now)

    def next_deadline(self) -> float:
        """Wall time in seconds at which `tick` has work, or an earlier time; infinite if there is none."""
        return self._shared.deadlines.next
