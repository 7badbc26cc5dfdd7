"""Trace of the octets on the wire, with time and direction: the evidence of a failure."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Direction = Literal[">", "<"]
Kind = Literal["stomp", "http", "ws"]

ENTRY_LIMIT = 20_000
OCTET_LIMIT = 8 << 20
#: Octets kept of one entry; the rest is only counted.
ENTRY_OCTETS = 64 << 10
#: Octets kept of each entry of the server that `bounded` cuts.
CUT_OCTETS = 256


class TraceEntry(NamedTuple):
    """Octets that one side sent: `>` the suite, `<` the server.

    `at` is in seconds since the start of the trace. `size` is the number of octets on the wire; `octets` holds the
    first of them.
    """

    at: float
    connection: str
    direction: Direction
    kind: Kind
    octets: bytes
    size: int


class Trace:
    """Newest entries of any number of connections. Thread-safe."""

    def __init__(
        self,
        entries: int = ENTRY_LIMIT,
        octets: int = OCTET_LIMIT,
        sent: Callable[[bytes], object] | None = None,
        received: Callable[[], object] | None = None,
    ) -> None:
        """`sent` is called with the kept octets of each entry of the suite, `received` for each of the server."""
        self._sent, self._received = sent, received
        self._entries: deque[TraceEntry] = deque()
        self._entry_limit = entries
        self._octet_limit = octets
        self._octets = 0
        self.sent = 0
        """Octets that the suite has sent, those of dropped entries included."""
        self._started = time.monotonic()
        self._labels: Counter[str] = Counter()
        self._lock = threading.Lock()

    def label(self, stem: str) -> str:
        """Name for a new connection: `stem` and a number."""
        with self._lock:
            self._labels[stem] += 1
            return f"{stem}-{self._labels[stem]}"

    def record(self, connection: str, direction: Direction, kind: Kind, octets: bytes) -> None:
        """Add an entry, and drop the oldest ones beyond the bounds."""
        kept = octets if len(octets) <= ENTRY_OCTETS else octets[:ENTRY_OCTETS]
        entry = TraceEntry(time.monotonic() - self._started, connection, direction, kind, kept, len(octets))
        if self._sent is not None and direction == ">":
            self._sent(kept)
        elif self._received is not None and direction == "<":
            self._received()
        with self._lock:
            self._entries.append(entry)
            self._octets += len(kept)
            self.sent += len(octets) if direction == ">" else 0
            while len(self._entries) > self._entry_limit or self._octets > self._octet_limit:
                self._octets -= len(self._entries.popleft().octets)

    def entries(self) -> list[TraceEntry]:
        """Kept entries, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Drop all entries; times still count from the start of the trace."""
        with self._lock:
            self._entries.clear()
            self._octets = 0


def bounded(entries: Sequence[TraceEntry], octets: int) -> tuple[TraceEntry, ...]:
    """The entries; those of the server are cut to CUT_OCTETS, but for the newest ones of `octets` in all."""
    kept: list[TraceEntry] = []
    for entry in reversed(entries):
        if entry.direction == "<" and octets < len(entry.octets) and len(entry.octets) > CUT_OCTETS:
            entry = entry._replace(octets=entry.octets[:CUT_OCTETS])
        octets -= len(entry.octets) if entry.direction == "<" else 0
        kept.append(entry)
    return tuple(reversed(kept))
