"""Admission to one server: connections stay below its limit, and one that is refused for now is tried again.

A server at its limit, or a gateway in front of it, answers 503 or 429, or refuses the connection. That says nothing
about any clause: it is waited out, for a bounded time. A server that is away for a moment is waited for as well.
"""

from __future__ import annotations

import contextlib
import email.utils
import select
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from conformance.wire.failures import Crowded, Unreachable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    T = TypeVar("T")

TOO_MANY, UNAVAILABLE = 429, 503
#: Statuses of a gateway that can't reach its server.
AWAY = frozenset({502, 504})
#: Longest wait for admission of one connection, in seconds, and the shortest and longest between two attempts.
ADMISSION_SECONDS = 30.0
#: The same where a refusal says nothing about when to come back, and concerns room, not a rate.
ROOM_SECONDS = 8.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
#: Attempts at one connection.
ATTEMPTS = 60
#: Longest wait for another test to end a connection, in seconds, where a limit is declared.
PLACE_SECONDS = 2.0
#: Connections that one test may need at once: a declared limit bounds the number of concurrent tests.
CONNECTIONS_OF_A_TEST = 4
#: Declared limit from which a run need not save connections.
ROOMY = 200
#: Part of a roomy limit that another process of the run gets.
_SHARE = 8
#: Longest wait of a test for others to end, in seconds.
TURN_SECONDS = 600.0
#: Admissions in a row after which later connections get all the time again.
ADMISSIONS_TO_FORGET = 50
#: Longest wait for a server that has gone away to come back, in seconds.
RETURN_SECONDS = 15.0
#: Longest time between two connections, in seconds, that is kept for the sake of a gateway.
LONGEST_SPACING = 1.0
_RETRY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Outage:
    """Time in which no connection could be made, in monotonic seconds; `ended` None: it lasts."""

    began: float
    ended: float | None


class Admission:
    """Connections of one run to one server. Thread-safe; one object for all clients of the run."""

    def __init__(self) -> None:
        self.return_seconds = 0.0
        """Longest wait for a server that refuses connections; none at the first contact."""
        self._most: int | None = None
        self._places: dict[object, socket.socket | None] = {}
        self._changed = threading.Condition()
        self._next_at = 0.0
        self._spacing = 0.0
        self._slowed_until = 0.0
        self._given_up = 0
        self._in_a_row = 0
        self._tests = 0
        self._alone = 0
        self._longest = threading.local()
        self._waited = 0.0
        self._stopped = False
        self._outages: list[Outage] = []

    def open_for_run(self, limit: int | None) -> None:
        """After the first contact: keep below the declared `limit`, and wait for a server that goes away."""
        with self._changed:
            self._most = None if limit is None else max(1, limit - 1)
            self.return_seconds = RETURN_SECONDS

    @property
    def is_roomy(self) -> bool:
        """True if the server declares no limit of connections, or one that a run does not come near."""
        return self._most is None or self._most >= ROOMY

    def give_share(self) -> int | None:
        """Take places below the declared limit from this process, for another one of the run; None without a limit."""
        with self._changed:
            if self._most is None:
                return None
            share = self._most // _SHARE
            self._most -= share
            return share

    # Places below a declared limit

    def take_place(self, owner: object) -> None:
        """Count the connection `owner`, about to be made; at the limit, wait up to PLACE_SECONDS for one to end."""
        with self._changed:
            began = time.monotonic()
            while self._is_full() and not self._stopped and time.monotonic() - began < PLACE_SECONDS:
                self._changed.wait(_RETRY_SECONDS / 5)
            self._note_wait(time.monotonic() - began)
            self._places[owner] = None

    def occupy(self, owner: object, made: socket.socket) -> None:
        """Note the socket of a counted connection."""
        with self._changed:
            if owner in self._places:
                self._places[owner] = made

    def give_place(self, owner: object) -> None:
        """Count a connection no longer. May be called twice."""
        with self._changed:
            self._places.pop(owner, None)
            self._changed.notify_all()

    def _is_full(self) -> bool:
        """True at the limit; connections that the server has ended count no more."""
        if self._most is None or len(self._places) < self._most:
            return False
        ended = [owner for owner, made in self._places.items() if made is not None and _has_ended(made)]
        for owner in ended:
            del self._places[owner]
        return len(self._places) >= self._most

    @contextlib.contextmanager
    def turn_of_test(self, *, alone: bool = False) -> Iterator[None]:
        """A test, while it runs: a declared limit of connections bounds their number; `alone` waits for all others."""
        if self._most is None:
            yield
            return
        tests = 1 if alone else max(1, self._most // CONNECTIONS_OF_A_TEST)
        with self._changed:
            self._alone += alone
            began = time.monotonic()
            self._changed.wait_for(
                lambda: self._stopped or (self._tests < tests and (alone or not self._alone)), TURN_SECONDS
            )
            self._waited += time.monotonic() - began
            self._tests += 1
        try:
            yield
        finally:
            with self._changed:
                self._tests -= 1
                self._alone -= alone
                self._changed.notify_all()

    @property
    def most(self) -> int | None:
        """Connections that the run keeps open at once; None without a declared limit."""
        return self._most

    def stop(self) -> None:
        """End all waits, since the run ends."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def waited(self) -> float:
        """Seconds that all threads together have waited so far."""
        return self._waited

    def take_longest_wait(self) -> float:
        """Longest single wait of the calling thread since the last call, in seconds."""
        longest: float = getattr(self._longest, "seconds", 0.0)
        self._longest.seconds = 0.0
        return longest

    def _note_wait(self, seconds: float) -> None:
        self._waited += seconds
        self._longest.seconds = max(getattr(self._longest, "seconds", 0.0), seconds)

    # Retrying

    def attempts(self) -> Attempts:
        """Attempts at one connection or exchange."""
        return Attempts(self, 1 / 2**self._given_up)

    def turn(self) -> None:
        """Wait until the next connection may be made, on a gateway that has asked for fewer of them."""
        with self._changed:
            now = time.monotonic()
            at = max(now, self._next_at)
            self._next_at = at + self._spacing
        self.pause(at - now)

    def pause(self, seconds: float) -> None:
        """Wait; a run that ends cuts the wait short."""
        if seconds <= 0:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)
            self._note_wait(seconds)

    def slow_down(self, pause: float, *, is_rate: bool) -> None:
        """Let `pause` seconds pass before the next connection of any thread and, for a rate, keep a distance."""
        with self._changed:
            now = time.monotonic()
            # Connections that were under way together are refused together: that is one sign of haste, not several.
            if is_rate and now >= self._slowed_until:
                self._spacing = min(LONGEST_SPACING, max(0.1, 1.5 * self._spacing))
                self._slowed_until = now + pause
            if is_rate:
                self._next_at = max(self._next_at, now + pause)

    def admitted(self) -> None:
        """Note that a connection was admitted."""
        with self._changed:
            self._in_a_row += 1
            if self._in_a_row >= ADMISSIONS_TO_FORGET:
                self._given_up = 0
            self._spacing *= 0.95
            if self._spacing < 0.01:
                self._spacing = 0.0

    def give_up(self) -> None:
        """Note that all attempts at a connection were in vain: later ones get less time."""
        with self._changed:
            self._in_a_row = 0
            self._given_up = min(self._given_up + 1, 4)

    # A server that goes away

    def reach(self, connect: Callable[[], T]) -> T:
        """Result of `connect`; while it raises Unreachable, try again for `return_seconds`. Raises Unreachable."""
        began = time.monotonic()
        while True:
            try:
                made = connect()
            except Unreachable as error:
                self.note_outage(began)
                if error.is_final or time.monotonic() - began >= self.return_seconds or self._stopped:
                    raise
                self.pause(_RETRY_SECONDS)
            else:
                self.note_return()
                return made

    def note_outage(self, began: float) -> None:
        """Note that the server did not answer at `began`, in monotonic seconds."""
        with self._changed:
            if not self._outages or self._outages[-1].ended is not None:
                self._outages.append(Outage(began, None))

    def note_return(self) -> None:
        """Note that the server answers again, if it was away."""
        with self._changed:
            if self._outages and self._outages[-1].ended is None:
                self._outages[-1] = Outage(self._outages[-1].began, time.monotonic())

    def was_away_since(self, moment: float) -> bool:
        """True if the server was away at any time after `moment`, in monotonic seconds."""
        with self._changed:
            return any(outage.ended is None or outage.ended >= moment for outage in self._outages)


class Attempts:
    """Attempts at one connection, with bounds on their number and on the time that is waited."""

    def __init__(self, admission: Admission, share: float) -> None:
        """`share` is the part of the usual time that these attempts get."""
        self._admission = admission
        self._share = share
        self._waited = 0.0
        self._number = 0

    def refused(self, status: int, headers: Mapping[str, str], said: str) -> None:
        """Wait as the refusal with `status` asks for, or a short time. Raises Crowded if there is no time left."""
        self._number += 1
        asked = retry_after(headers)
        pause = min(SHORTEST_PAUSE * 1.5**self._number, 2.0) if asked is None else max(asked, SHORTEST_PAUSE)
        most = ROOM_SECONDS if asked is None and status != TOO_MANY else ADMISSION_SECONDS
        left = most * self._share - self._waited
        if self._number >= ATTEMPTS or pause > min(left, LONGEST_PAUSE):
            self._admission.give_up()
            raise Crowded(f"after {self._number} attempts the server still takes no connection: {said}")
        self._waited += pause
        self._admission.slow_down(pause, is_rate=status == TOO_MANY)
        self._admission.pause(pause)


def _has_ended(made: socket.socket) -> bool:
    """True if the server has ended the connection, whatever is still to be read."""
    if not hasattr(select, "poll") or made.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(made.fileno(), getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, whether it is a number or a date; None without a readable one."""
    value = next((text.strip() for name, text in headers.items() if name.lower() == "retry-after"), "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
