"""State that all sessions of a server share, and the calls of the I/O layer that drive them."""

import hmac
import itertools
import logging
import secrets
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from reference_server.budget import Budget
from reference_server.deadlines import Deadlines
from reference_server.events import Events, tell
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.outlet import Outlet
from reference_server.stomp.queue_binding import ReplyAddress
from reference_server.stomp.router import Router

WRONG_LOGIN = "login refused"
"""The summary of the error for a login that is none of a user."""
_WRONG_LOGINS = 100
_WRONG_LOGIN_SECONDS = 0.1
"""One address may try so many wrong logins at once, and one more after each such time."""
_WRONG_ADDRESSES = 10_000
SomeSession = TypeVar("SomeSession", bound=Outlet)


class Hub(Generic[SomeSession]):
    """Settings, the router, and the sessions that need something.

    Every method but `check_user` is called under the application lock. Times are seconds of wall time (any monotonic
    clock).
    """

    def __init__(
        self,
        operations: Operations,
        limits: StompLimits,
        budget: Budget | None = None,
        events: Events | None = None,
        *,
        users: Mapping[str, str] | None = None,
        server_name: str = "stompliance/0.1",
    ) -> None:
        """`users` maps login to passcode; if there are none, no login is needed.

        `server_name` is a name, a slash and a version (STOMP-CONNECT-009).
        """
        self.limits = limits
        self.users = users or {}
        self.server_name = server_name
        self.router = Router(operations, limits, budget or Budget(limits.total_bytes))
        self.now = 0.0
        """Wall time of the current call."""
        self.deadlines: Deadlines[SomeSession] = Deadlines()
        """Wall time at which `on_time` of a session has work."""
        self.touched: list[SomeSession] = []
        """Sessions with new output, or newly `closing` or `stalled`; may name one twice."""
        self._operations = operations
        self.events = events or Events()
        self._name = secrets.token_hex(4)
        self._sessions = itertools.count()
        self._wrong: dict[str, float] = {}
        """Time at which the wrong logins of an address are forgotten."""

    def name_session(self) -> str:
        """Make a value for the `session` header (STOMP-CONNECT-010)."""
        return f"{self._name}-{next(self._sessions)}"

    def check_user(self, login: str, passcode: str, address: str, now: float) -> None:
        """Raise ProtocolError unless the passcode is that of the login, or no login is needed (STOMP-CONNECT-002).

        An address that tried too many wrong ones has to wait, with right ones too: it would learn which is right.
        This method alone needs no lock.
        """
        if not self.users:
            return
        wrong = self._wrong
        clear_at = max(wrong.get(address, now), now)
        if clear_at - now > _WRONG_LOGINS * _WRONG_LOGIN_SECONDS:
            raise ProtocolError("too many wrong logins", "From your address. Wait a second between two.")
        expected = self.users.get(login)
        if hmac.compare_digest((expected or "").encode(), passcode.encode()) and expected is not None:
            return
        if login:
            if len(wrong) >= _WRONG_ADDRESSES:
                wrong.clear()
            wrong[address] = clear_at + _WRONG_LOGIN_SECONDS
            tell(logging.WARNING, "wrong-login", login=login[:100], address=address)
        # The ERROR does not say which of both is wrong.
        raise ProtocolError(WRONG_LOGIN, "Try again, on a new connection if this is STOMP, as a user.")

    def take_touched(self) -> list[SomeSession]:
        """Return the `touched` sessions since the last call."""
        touched, self.touched = self.touched, []
        self.router.destinations.made = 0
        return touched

    def operations_answered(self, now: float) -> list[tuple[Hashable, Outcome]]:
        """Send the answers of the long polls of sessions that ended; return those of other bindings.

        Call it after anything that may make a record available: `handle`, an operation over HTTP, a tick of
        the queue, an advance of its clock.
        """
        self.now = now
        others = []
        for waiter, outcome in self._operations.long_polls.answered():
            if isinstance(waiter, ReplyAddress):
                self.router.binding.answer_late(waiter, outcome)
            else:
                others.append((waiter, outcome))
        return others

    def tick(self, now: float) -> None:
        """Do what is due: heart-beats, silent clients, frames that do not come or end."""
        self.now = now
        for session in self.deadlines.take_due(now):
            session.on_time(now)
