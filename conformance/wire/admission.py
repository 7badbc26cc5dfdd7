"""Admission to one server: connections stay below its limit, and one that is refused for now is tried again.

A server at its limit, or a gateway in front of it, answers 503 or 429, or refuses the connection. That says nothing
about any clause: it is waited out, for a bounded time. A server that is away for a moment is waited for as well.
"""

from __future__ import annotations

import email.utils
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from conformance.wire.failures import Crowded, Unreachable
from conformance.wire.outages import Outages
from conformance.wire.pace import Pace
from conformance.wire.places import Places

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    T = TypeVar("T")

TOO_MANY, UNAVAILABLE = 429, 503
#: Statuses of a gateway that can't reach its server.
AWAY = frozenset({502, 504})
#: Longest wait for admission of one connection, in seconds, and the shortest and longest between two attempts.
ADMISSION_SECONDS = 30.0
#: The same for a request that the server may mean to refuse: a gateway with a rate serves it by then.
DOUBT_SECONDS = 12.0
#: The same where a refusal says nothing about when to come back, and concerns room, not a rate.
ROOM_SECONDS = 8.0
#: The same for a later request of a connection, by a test that has the server for itself.
ALONE_SECONDS = 3.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
#: Attempts at one connection.
ATTEMPTS = 60
#: Longest wait for a server that has gone away to come back, in seconds.
RETURN_SECONDS = 15.0
_RETRY_SECONDS = 0.25


class RunAdmission:
    """State that the connections of all tests of one run share."""

    def __init__(self) -> None:
        self.places = Places()
        self.pace = Pace()
        self.outages = Outages()
        self.stopped = threading.Event()
        self.meant: set[str] = set()
        """Requests, as methods with paths, whose 503 has stayed for a test that had the server for itself."""
        self.replies_per_connection: int | None = None
        """Replies after which the server has ended a connection without a word; None if it has ended none."""
        self.return_seconds = 0.0
        """Longest wait for a server that refuses connections; none at the first contact."""


class Admission:
    """Connections of one test, or of the first contact, to the server of a run. Thread-safe."""

    def __init__(self, run: RunAdmission | None = None) -> None:
        self.run = run or RunAdmission()
        self._holder = object()
        self.waited = 0.0
        """Seconds that all threads of the test together have waited for connections."""
        self.longest_wait = 0.0
        """Longest single wait, in seconds."""
        self.refusal = ""
        """Why the test got no connection, "" if it got all of them.

        A test may connect in threads of its own, whose exceptions it doesn't see.
        """

        self.is_alone = False
        """True while no other test of the run is running."""
        self.is_hopeless = False
        """True if the test needs more connections than the run may open."""
        self.crowd = 0
        """Most connections that the run had open when another one of the test got no answer."""

    def of_test(self) -> Admission:
        """Admission of another test of the same run."""
        return Admission(self.run)

    def open_for_run(self, limit: int | None) -> None:
        """After the first contact: keep below the declared `limit`, and wait for a server that goes away."""
        self.run.places.most = None if limit is None else max(1, limit - 1)
        self.run.return_seconds = RETURN_SECONDS

    def forget(self) -> None:
        """Forget the waits and refusals, since the test is repeated: its earlier connections are those of another."""
        self._holder = object()
        self.waited, self.longest_wait, self.refusal, self.crowd = 0.0, 0.0, "", 0

    def stop(self) -> None:
        """End all waits, since the run ends."""
        self.run.stopped.set()
        self.run.places.stop()

    # Places below a declared limit

    def take_place(self, owner: object) -> None:
        """Count the connection `owner`, about to be made. Raises Crowded if the run may make no further one."""
        places, began = self.run.places, time.monotonic()
        has_place = places.take(owner, self._holder)
        self._note_wait(time.monotonic() - began)
        if not has_place:
            own = places.held(self._holder)
            self.is_hopeless = own == places.most
            raise self.crowded(
                f"the run keeps at most {places.most} connection{'' if places.most == 1 else 's'} open, below the "
                f"limit that the server declares, and this test needs more than the {own} that it has: let the server "
                "accept more connections"
            )

    def crowded(self, why: str) -> Crowded:
        """New exception for a connection that the test can't have; notes that for its end."""
        self.refusal = why
        return Crowded(why)

    def occupy(self, owner: object, made: socket.socket) -> None:
        """Note the socket of a counted connection."""
        self.run.places.occupy(owner, made)

    def give_place(self, owner: object) -> None:
        """Count a connection no longer. May be called twice."""
        self.run.places.give(owner)

    def note_unanswered(self, *, is_counted: bool = False) -> bool:
        """Note that a new connection got no answer; True if others are open, so that the reason may be their number.

        `is_counted` is true if the new connection has not been closed yet.
        """
        others = self.run.places.opened(self._holder) - is_counted
        self.crowd = max(self.crowd, others)
        return others > 0

    # Retrying

    def attempts(self) -> Attempts:
        """Attempts at one connection or exchange."""
        return Attempts(self, self.run.pace.share)

    def turn(self) -> None:
        """Wait until the next connection may be made, on a gateway that has asked for fewer of them."""
        self.pause(self.run.pace.delay())

    def pause(self, seconds: float) -> None:
        """Wait; a run that ends cuts the wait short."""
        if seconds > 0:
            self.run.stopped.wait(seconds)
            self._note_wait(seconds)

    def admitted(self) -> None:
        """Note that a connection was admitted."""
        self.run.pace.admitted()

    def _note_wait(self, seconds: float) -> None:
        self.waited += seconds
        self.longest_wait = max(self.longest_wait, seconds)

    def ends_after(self, answers: int) -> bool:
        """True if the server ends connections after so many replies without a word, as RFC 9112, section 9.5, allows.

        The first connection that ends so tells their number. Another number later is no limit of the server.
        """
        if answers and self.run.replies_per_connection is None:
            self.run.replies_per_connection = answers
        return answers > 0 and answers == self.run.replies_per_connection

    # A server that goes away

    def reach(self, connect: Callable[[], T]) -> T:
        """Result of `connect`; while it raises Unreachable, try again for `return_seconds`. Raises Unreachable."""
        began, outages = time.monotonic(), self.run.outages
        while True:
            try:
                made = connect()
            except Unreachable as error:
                outages.note_outage(began)
                is_late = time.monotonic() - began >= self.run.return_seconds
                if error.is_final or is_late or self.run.stopped.is_set():
                    raise
                self.pause(_RETRY_SECONDS)
            else:
                outages.note_return()
                return made


class Attempts:
    """Attempts at one connection, with bounds on their number and on the time that is waited."""

    def __init__(self, admission: Admission, share: float) -> None:
        """`share` is the part of the usual time that these attempts get."""
        self._admission = admission
        self._share = share
        self._waited = 0.0
        self._number = 0

    def refused(self, status: int, headers: Mapping[str, str], said: str, answers: str = "") -> bool:
        """Wait as the refusal with `status` asks for, or a short time; True if there is time for another attempt.

        `answers` is the request, as method and path, if the server had answered on the connection before: a 503 may
        then be its answer to this request. It is, and False is returned, if it stays while no other test is running, or
        did so earlier in the run. Raises Crowded if there is no time left.
        """
        self._number += 1
        asked = retry_after(headers)
        may_be_meant = bool(answers) and status == UNAVAILABLE and asked is None
        if may_be_meant and answers in self._admission.run.meant:
            return False
        pause = min(SHORTEST_PAUSE * 1.5**self._number, 2.0) if asked is None else max(asked, SHORTEST_PAUSE)
        is_rate = bool(answers) or status == TOO_MANY or asked is not None
        bound = DOUBT_SECONDS if may_be_meant else ADMISSION_SECONDS if is_rate else ROOM_SECONDS
        left = bound * self._share - self._waited
        if may_be_meant and self._admission.is_alone:
            left = ALONE_SECONDS - self._waited
            if pause > left:
                self._admission.run.meant.add(answers)
                self._admission.run.pace.forget()
                return False
        if self._number >= ATTEMPTS or pause > min(left, LONGEST_PAUSE):
            self._admission.run.pace.give_up()
            raise self._admission.crowded(
                f"after {self._number} attempts the server still takes no connection: {said}"
            )
        self._waited += pause
        if is_rate:
            self._admission.run.pace.slow_down(pause)
        self._admission.pause(pause)
        return True


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, whether it is a number or a date; None without a readable one."""
    value = next((text.strip() for name, text in headers.items() if name.lower() == "retry-after"), "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
