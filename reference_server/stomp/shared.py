"""State that all sessions of a server share."""

import hmac
import itertools
import secrets
from collections.abc import Mapping
from typing import Generic, TypeVar

from reference_server.deadlines import Deadlines
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.router import Router

SomeSession = TypeVar("SomeSession")


class Shared(Generic[SomeSession]):
    """Settings, the router, and lists of the sessions that need something; used under the application lock."""

    def __init__(self, router: Router, limits: StompLimits, users: Mapping[str, str], server: str) -> None:
        self.router = router
        self.limits = limits
        self.users = users
        self.server_name = server
        self.now = 0.0
        """Wall time of the current call, in seconds."""
        self.deadlines: Deadlines[SomeSession] = Deadlines()
        """Wall time at which `on_time` of a session has work."""
        self.touched: list[SomeSession] = []
        """Sessions with new output, or newly `closing` or `stalled`; may name one twice."""
        self._name = secrets.token_hex(4)
        self._sessions = itertools.count()

    def name_session(self) -> str:
        """Make a value for the `session` header (STOMP-CONNECT-010)."""
        return f"{self._name}-{next(self._sessions)}"

    def check_user(self, login: str, passcode: str) -> None:
        """Raise ProtocolError unless the passcode is that of the login, or no login is needed (STOMP-CONNECT-002)."""
        if self.users and not hmac.compare_digest(self.users.get(login, "\0").encode(), passcode.encode()):
            # The ERROR does not say which of both is wrong.
            advice = "CONNECT again, on a new connection, with login and passcode."
            raise ProtocolError("login refused", advice)
