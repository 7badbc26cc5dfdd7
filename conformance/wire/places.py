"""Places for the connections of a run below the limit that its server declares, and turns of the tests that need them.

A test that holds connections while it waits for another one may wait for a test that does the same. Turns prevent
most of that: a test starts when as many places are left as tests usually need. Any other wait for a place is bounded;
the test that gets none shows nothing, and is tried again with more places, at last with all of them.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

#: Connections for which a test has places at its first attempt: an ordinary one, and one that waits for real time.
ORDINARY, WAITING = 3, 1
#: Declared limit from which a run need not save connections.
ROOMY = 200
#: Part of a roomy limit that another process of the run gets.
_SHARE = 8
#: Factor of the places at the next attempt.
FACTOR = 3
#: Longest wait for another test to end a connection, in seconds, and for one of the test's own.
PLACE_SECONDS, OWN_PLACE_SECONDS = 0.5, 0.2
#: Sum of the waits in vain for places of the waiting tests' own after which a run waits SHORT_PLACE_SECONDS only. At a
#: limit of 2 connections most tests need more than there are: a long wait by each of them would take minutes.
IN_VAIN_SECONDS, SHORT_PLACE_SECONDS = 10.0, 0.01
#: Longest wait of a test for others to end, in seconds.
TURN_SECONDS = 600.0
#: Time after which a server has surely seen that a connection has ended, in seconds.
LINGER_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_ENDS_KEPT = 64


class Places:
    """Open connections of one run, counted by the test that holds them. Thread-safe."""

    def __init__(self) -> None:
        self.most: int | None = None
        """Connections that the run keeps open at once; None without a declared limit."""
        self.elsewhere = 0
        """Tests that run in other processes, whose connections are not counted here."""
        self._changed = threading.Condition()
        self._open: dict[object, tuple[object, socket.socket | None]] = {}
        self._ended: deque[tuple[object, float]] = deque(maxlen=_ENDS_KEPT)
        self._promised = self._promised_to_waits = 0
        self._waits_in_line = 0
        self._tests = 0
        self._alone = 0
        self._in_vain = 0.0
        self._stopped = False

    @property
    def is_roomy(self) -> bool:
        """True if the server declares no limit of connections, or one that a run does not come near."""
        return self.most is None or self.most >= ROOMY

    def give_share(self) -> int | None:
        """Take places from this process, for another one of the run; None without a limit."""
        with self._changed:
            if self.most is None:
                return None
            share = self.most // _SHARE
            self.most -= share
            return share

    def take(self, owner: object, holder: object) -> bool:
        """Count the connection `owner` of the test `holder`, about to be made; False if no place came free in time."""
        with self._changed:
            began = time.monotonic()
            while self._is_full() and not self._stopped:
                others = any(whose is not holder for whose, _ in self._open.values())
                waited, longest = time.monotonic() - began, PLACE_SECONDS if others else self._own_wait()
                if waited >= longest:
                    self._in_vain += 0.0 if others else waited
                    return False
                self._changed.wait(min(_LOOK_SECONDS, longest))
            self._open[owner] = (holder, None)
            return True

    def occupy(self, owner: object, made: socket.socket) -> None:
        """Note the socket of a counted connection."""
        with self._changed:
            if owner in self._open:
                self._open[owner] = (self._open[owner][0], made)

    def give(self, owner: object) -> None:
        """Count a connection no longer. May be called twice."""
        with self._changed:
            if owner in self._open:
                self._ended.append((self._open.pop(owner)[0], time.monotonic()))
            self._changed.notify_all()

    def held(self, holder: object) -> int:
        """Number of connections of a test."""
        with self._changed:
            return sum(whose is holder for whose, _ in self._open.values())

    def opened(self, holder: object) -> int:
        """Number of connections that the server may take for open when the test `holder` makes one.

        Those about to be made count too, those of other tests that have ended just now, and one of each other process.
        """
        with self._changed:
            return len(self._open) + len(self._lingering(holder)) + self.elsewhere

    @contextlib.contextmanager
    def turn_elsewhere(self) -> Iterator[None]:
        """A test, while it runs in another process: no test of this one is alone meanwhile."""
        with self.turn(waits=False, attempt=0, alone=False):
            with self._changed:
                self.elsewhere += 1
            try:
                yield
            finally:
                with self._changed:
                    self.elsewhere -= 1

    @contextlib.contextmanager
    def turn(self, *, waits: bool, attempt: int, alone: bool) -> Iterator[None]:
        """A test, while it runs. It starts when no test that was promised places needs them.

        `waits` is true for a test that waits for real time, `attempt` counts from 0. A test `alone` starts when all
        others have ended, and the server has seen that.
        """
        needs = (WAITING if waits else ORDINARY) * FACTOR**attempt
        needs = needs if self.most is None else min(needs, self.most)
        with self._changed:
            self._alone += alone
            self._waits_in_line += waits
            self._changed.wait_for(
                lambda: self._stopped or self._has_turn(needs, waits=waits, alone=alone), TURN_SECONDS
            )
            self._waits_in_line -= waits
            self._promised += needs
            self._promised_to_waits += needs * waits
            self._tests += 1
            while alone and not self._stopped and (lingering := self._lingering(None)):
                self._changed.wait(max(lingering))
        try:
            yield
        finally:
            with self._changed:
                self._tests -= 1
                self._promised -= needs
                self._promised_to_waits -= needs * waits
                self._alone -= alone
                self._changed.notify_all()

    def stop(self) -> None:
        """End all waits, since the run ends."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def waits_at_once(self) -> int | None:
        """Number of tests that may wait for real time at once; None for any number."""
        return None if self.most is None else max(1, self.most // WAITING)

    def _own_wait(self) -> float:
        """Longest wait, in seconds, for a place that only a connection of the waiting test itself can free."""
        return OWN_PLACE_SECONDS if self._in_vain < IN_VAIN_SECONDS else SHORT_PLACE_SECONDS

    def _has_turn(self, needs: int, *, waits: bool, alone: bool) -> bool:
        if alone or not self._tests:
            return not self._tests
        if self._alone:
            return False
        if self.most is None:
            return True
        # Tests that wait come first, since they hold their places for long: another one that asks for many places
        # would have to wait for them each time. They leave room for one ordinary test, if there is any.
        reserve = ORDINARY if self.most > 2 * ORDINARY else 0
        if waits and self._promised_to_waits:
            return (
                self._promised + needs <= self.most and self._promised_to_waits + needs <= self.most - reserve
            )
        if not waits and self._waits_in_line and (needs > ORDINARY or not reserve):
            return False
        return self._promised + needs <= self.most

    def _lingering(self, holder: object) -> list[float]:
        """Seconds for which connections of other tests than `holder` that have ended may still count at the server."""
        past = time.monotonic() - LINGER_SECONDS
        return [ended - past for whose, ended in self._ended if ended > past and whose is not holder]

    def _is_full(self) -> bool:
        """True at the limit; connections that the server has ended count no more."""
        if self.most is None or len(self._open) < self.most:
            return False
        ended = [owner for owner, (_, made) in self._open.items() if made is not None and _has_ended(made)]
        for owner in ended:
            del self._open[owner]
        return len(self._open) >= self.most


def _has_ended(made: socket.socket) -> bool:
    """True if the server has ended the connection, whatever is still to be read."""
    if not hasattr(select, "poll") or made.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(made.fileno(), getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))
