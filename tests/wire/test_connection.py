"""Deadlines of a connection to a server that reads or sends slowly, or not at all."""

from __future__ import annotations

import pytest

from conformance.wire import connection
from conformance.wire.connection import ALLOWANCE, PIECE, Connection
from conformance.wire.failures import TooLong

PATIENCE = 5.0


class Clock:
    """Clock in seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class SlowSocket:
    """Socket that takes so many seconds for each piece."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._timeout = 0.0
        self.sent = self.received = 0

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds

    def send(self, octets: bytes) -> int:
        self._clock.now += min(self._seconds, self._timeout)
        if self._seconds > self._timeout:
            raise TimeoutError
        taken = len(octets) if self._seconds else (len(octets) + 1) // 2
        self.sent += taken
        return taken

    def recv_into(self, buffer: memoryview) -> int:
        self._clock.now += min(self._seconds, self._timeout)
        if self._seconds > self._timeout:
            raise TimeoutError
        self.received += len(buffer)
        return len(buffer)


def opened(monkeypatch: pytest.MonkeyPatch, seconds: float) -> tuple[Connection, SlowSocket]:
    """Connection over such a socket, at the start of a wait."""
    clock = Clock()
    monkeypatch.setattr(connection, "time", clock)
    made, slow = Connection.__new__(Connection), SlowSocket(clock, seconds)
    made.patience, made._tap = PATIENCE, None
    made.socket = slow  # type: ignore[assignment]  # of which only these methods are used here
    made.begin()
    return made, slow


def read(made: Connection, pieces: int, octets: int) -> None:
    """Read `pieces` pieces of `octets` octets each."""
    buffer = memoryview(bytearray(octets))
    for _ in range(pieces):
        made.read_into(buffer)


@pytest.mark.parametrize("octets", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
def test_everything_is_sent_once(monkeypatch: pytest.MonkeyPatch, octets: int) -> None:
    """All octets are sent, however they are split, to a socket that takes a part of them at a time."""
    made, slow = opened(monkeypatch, 0.0)
    made.sendall(bytes(octets))
    assert slow.sent == octets


def test_each_piece_that_gets_through_puts_the_deadline_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long body gets through a slow network in more than one patience."""
    made, slow = opened(monkeypatch, PATIENCE - 1)
    made.sendall(bytes(10 * PIECE))
    assert slow.sent == 10 * PIECE


def test_a_piece_that_does_not_get_through_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that doesn't read gets one patience."""
    made, slow = opened(monkeypatch, PATIENCE + 1)
    with pytest.raises(TimeoutError):
        made.sendall(bytes(10 * PIECE))
    assert slow.sent == 0


def test_each_piece_that_comes_puts_the_deadline_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long reply gets through a slow network in more than one patience."""
    made, slow = opened(monkeypatch, PATIENCE - 1)
    read(made, 10, PIECE)
    assert slow.received == 10 * PIECE


def test_what_trickles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than a PIECE within one patience doesn't extend the deadline."""
    made, slow = opened(monkeypatch, PATIENCE / 10 + 0.001)
    with pytest.raises(TimeoutError):
        read(made, 10, PIECE // 10)
    assert slow.received < PIECE


def test_a_deadline_that_was_asked_for_is_not_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait with a deadline of its own is never extended."""
    made, slow = opened(monkeypatch, PATIENCE - 1)
    made.begin(deadline=made.deadline)
    with pytest.raises(TimeoutError):
        read(made, 10, PIECE)
    assert slow.received == PIECE


def test_no_more_than_the_allowance_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The allowance bounds the octets read in one wait."""
    made, slow = opened(monkeypatch, 0.0)
    with pytest.raises(TooLong):
        read(made, 5, ALLOWANCE // 4)
    assert slow.received == ALLOWANCE + ALLOWANCE // 4
