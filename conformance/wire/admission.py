"""Admission to one server: connections stay below its limit, and one that is refused for now is tried again.

A server at its limit, or a gateway in front of it, answers 503 or 429, or refuses the connection. That says nothing
about any clause: it is waited out, for a bounded time. A server that is away for a moment is waited for as well.
"""

from __future__ import annotations

import email.utils
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from conformance.wire.failures import Crowded, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    T = TypeVar("T")

TOO_MANY, UNAVAILABLE = 429, 503
#: Statuses of a gateway that can't reach its server.
AWAY = frozenset({502, 504})
#: Longest wait for admission of one connection, in seconds, and the shortest and longest between two attempts.
ADMISSION_SECONDS = 30.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
#: Attempts at one connection.
ATTEMPTS = 60
#: Longest wait for another test to end a connection, in seconds, where a limit is declared.
PLACE_SECONDS = 5.0
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
        self._open = 0
        self._changed = threading.Condition()
        self._next_at = 0.0
        self._spacing = 0.0
        self._given_up = 0
        self._waited = 0.0
        self._stopped = False
        self._outages: list[Outage] = []

    def open_for_run(self, limit: int | None) -> None:
        """After the first contact: keep below the declared `limit`, and wait for a server that goes away."""
        with self._changed:
            self._most = None if limit is None else max(1, limit - 1)
            self.return_seconds = RETURN_SECONDS

    # Places below a declared limit

    def take_place(self) -> None:
        """Count a connection that is about to be made; at the limit, wait up to PLACE_SECONDS for one to end."""
        most = self._most
        with self._changed:
            if most is not None and self._open >= most:
                began = time.monotonic()
                self._changed.wait_for(lambda: self._open < most or self._stopped, PLACE_SECONDS)
                self._waited += time.monotonic() - began
            self._open += 1

    def give_place(self) -> None:
        """Count a connection that has ended."""
        with self._changed:
            self._open -= 1
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

    # Retrying

    def attempts(self) -> Attempts:
        """Attempts at one connection or exchange."""
        return Attempts(self, ADMISSION_SECONDS / 4**self._given_up)

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
            self._waited += seconds

    def slow_down(self, pause: float, *, is_rate: bool) -> None:
        """Let `pause` seconds pass before the next connection of any thread and, for a rate, keep a distance."""
        with self._changed:
            if is_rate:
                self._spacing = min(LONGEST_SPACING, max(0.1, 1.5 * self._spacing))
            self._next_at = max(self._next_at, time.monotonic() + pause)

    def admitted(self) -> None:
        """Note that a connection was admitted."""
        with self._changed:
            self._given_up = 0
            self._spacing *= 0.95
            if self._spacing < 0.01:
                self._spacing = 0.0

    def give_up(self) -> None:
        """Note that all attempts at a connection were in vain: later ones get less time."""
        with self._changed:
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

    def __init__(self, admission: Admission, seconds: float) -> None:
        self._admission = admission
        self._left = seconds
        self._number = 0

    def refused(self, status: int, headers: Mapping[str, str], said: str) -> None:
        """Wait as the refusal with `status` asks for, or a short time. Raises Crowded if there is no time left."""
        self._number += 1
        asked = retry_after(headers)
        pause = min(SHORTEST_PAUSE * 1.5**self._number, 2.0) if asked is None else max(asked, SHORTEST_PAUSE)
        if self._number >= ATTEMPTS or pause > min(self._left, LONGEST_PAUSE):
            self._admission.give_up()
            raise Crowded(f"after {self._number} attempts the server still takes no connection: {said}")
        self._left -= pause
        self._admission.slow_down(pause, is_rate=status == TOO_MANY)
        self._admission.pause(pause)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, whether it is a number or a date; None without a readable one."""
    value = next((text.strip() for name, text in headers.items() if name.lower() == "retry-after"), "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
