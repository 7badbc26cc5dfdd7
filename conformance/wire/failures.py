"""What can go wrong in talking to a peer, and whose fault each is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.wire.trace import TraceEntry


class Violation(AssertionError):
    """The peer did something that a clause forbids, or left out what it requires."""

    def __init__(self, clause: str, expected: object, observed: object) -> None:
        super().__init__(f"{clause}: expected {expected}; observed {observed}")
        self.clause = clause
        self.evidence: tuple[Sequence[str], Sequence[TraceEntry]] | None = None
        self.expected = str(expected)
        self.observed = observed


class PeerFailure(AssertionError):
    """The peer closed a connection, or left something unanswered.

    `promise` is the clause that promises the answer; empty where only the test knows which one it was about.
    """

    def __init__(self, expected: object, observed: object, promise: str = "") -> None:
        super().__init__(f"expected {expected}; observed {observed}")
        self.promise = promise
        self.evidence: tuple[Sequence[str], Sequence[TraceEntry]] | None = None
        self.expected = str(expected)
        self.observed = observed


class TooLong(PeerFailure):
    """More came for one message or reply than the suite takes in; a fault where there was no reason for so much."""


class Unreachable(Exception):
    """Nobody answers at the address: there is nothing to judge."""


class TooSlow(BaseException):
    """This machine was late for what had to be done in time: the test says nothing, and has to be run again.

    No `Exception`, so that Hypothesis takes it for no failure that is to be shrunk.
    """
