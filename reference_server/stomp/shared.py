"""State that all sessions of a server share."""

import hmac
import itertools
import logging
import secrets
from collections.abc import Mapping
from typing import Generic, TypeVar

from reference_server.deadlines import Deadlines
from reference_server.events import Events, tell
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.limits import StompLimits
from reference_server.stomp.router import Router

WRONG_LOGIN = "login refused"
"""The summary of the error for a login that is none of a user."""
_WRONG_LOGINS = 100
_WRONG_LOGIN_SECONDS = 0.1
"""One address may try so many wrong logins at once, and one more after each such time."""
_WRONG_ADDRESSES = 10_000
SomeSession = TypeVar("SomeSession")


class Shared(Generic[SomeSession]):
    """Settings, the router, and lists of the sessions that need something; used under the application lock."""

    def __init__(
        self, router: Router, limits: StompLimits, users: Mapping[str, str], server: str, events: Events
    ) -> None:
        self.router = router
        self.events = events
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
        self._wrong: dict[str, float] = {}
        """Time at which the wrong logins of an address are forgotten."""

    def name_session(self) -> str:
        """Make a value for the `session` header (STOMP-CONNECT-010)."""
        return f"{self._name}-{next(self._sessions)}"

    def check_user(self, login: str, passcode: str, address: str, now: float) -> None:
        """Raise ProtocolError unless the passcode is that of the login, or no login is needed (STOMP-CONNECT-002).

        An address that tried too many wrong ones has to wait, with right ones too: it would learn which is right.
        """
        if not self.users:
            return
        wrong = self._wrong
        clear_at = max(wrong.get(address, now), now)
        if clear_at - now > _WRONG_LOGINS * _WRONG_LOGIN_SECONDS:
            raise ProtocolError(
                "too many wrong logins", "They came from your address. Wait a second between two."
            )
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
