"""How long a connection waits for a server that takes what is sent slowly, or not at all."""

from __future__ import annotations

import pytest

from conformance.wire import connection
from conformance.wire.connection import SEND_AT_ONCE, Connection

PATIENCE = 5.0


class Clock:
    """Time that passes when it is told to, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class SlowSocket:
    """A socket through which each piece takes so many seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._timeout = 0.0
        self.sent = 0

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds

    def sendall(self, octets: bytes) -> None:
        self._clock.now += min(self._seconds, self._timeout)
        if self._seconds > self._timeout:
            raise TimeoutError
        self.sent += len(octets)


def opened(monkeypatch: pytest.MonkeyPatch, seconds: float) -> tuple[Connection, SlowSocket]:
    """A connection over such a socket, at the beginning of a wait."""
    clock = Clock()
    monkeypatch.setattr(connection, "time", clock)
    made, slow = Connection.__new__(Connection), SlowSocket(clock, seconds)
    made.patience, made._tap = PATIENCE, None
    made.socket = slow  # type: ignore[assignment]  # of which only two methods are used here
    made.begin()
    return made, slow


@pytest.mark.parametrize("octets", [0, 1, SEND_AT_ONCE, SEND_AT_ONCE + 1, 3 * SEND_AT_ONCE])
def test_everything_is_sent_once(monkeypatch: pytest.MonkeyPatch, octets: int) -> None:
    """Whatever the pieces are."""
    made, slow = opened(monkeypatch, 0.0)
    made.sendall(bytes(octets))
    assert slow.sent == octets


def test_each_piece_that_gets_through_puts_the_deadline_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a long body gets through a slow network, though it takes many patiences."""
    made, slow = opened(monkeypatch, PATIENCE - 1)
    made.sendall(bytes(10 * SEND_AT_ONCE))
    assert slow.sent == 10 * SEND_AT_ONCE


def test_a_piece_that_does_not_get_through_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that doesn't read is waited for no longer than before."""
    made, slow = opened(monkeypatch, PATIENCE + 1)
    with pytest.raises(TimeoutError):
        made.sendall(bytes(10 * SEND_AT_ONCE))
    assert slow.sent == 0
