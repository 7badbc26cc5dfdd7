"""The evidence: what went over the wire, when, and in which direction."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Literal, NamedTuple

Direction = Literal[">", "<"]
Kind = Literal["stomp", "http", "ws"]

ENTRY_LIMIT = 20_000
OCTET_LIMIT = 8 << 20
#: Octets kept of one entry; the rest is counted, not kept.
ENTRY_OCTETS = 64 << 10


class TraceEntry(NamedTuple):
    """Octets that one end sent: `>` the suite, `<` the server.

    `at` is in seconds since the trace began, `size` the number of octets on the wire, of which `octets` are the first.
    """

    at: float
    connection: str
    direction: Direction
    kind: Kind
    octets: bytes
    size: int


class Trace:
    """The newest entries of any number of connections; may be shared by threads."""

    def __init__(self, entries: int = ENTRY_LIMIT, octets: int = OCTET_LIMIT) -> None:
        self._entries: deque[TraceEntry] = deque()
        self._entry_limit = entries
        self._octet_limit = octets
        self._octets = 0
        self._started = time.monotonic()
        self._labels: Counter[str] = Counter()
        self._lock = threading.Lock()

    def label(self, stem: str) -> str:
        """A name for a new connection: `stem` and a number."""
        with self._lock:
            self._labels[stem] += 1
            return f"{stem}-{self._labels[stem]}"

    def record(self, connection: str, direction: Direction, kind: Kind, octets: bytes) -> None:
        """Keep these octets, and let the oldest go where the bounds are reached."""
        kept = octets if len(octets) <= ENTRY_OCTETS else octets[:ENTRY_OCTETS]
        entry = TraceEntry(time.monotonic() - self._started, connection, direction, kind, kept, len(octets))
        with self._lock:
            self._entries.append(entry)
            self._octets += len(kept)
            while len(self._entries) > self._entry_limit or self._octets > self._octet_limit:
                self._octets -= len(self._entries.popleft().octets)

    def entries(self) -> list[TraceEntry]:
        """What is kept, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget everything but the time of the beginning."""
        with self._lock:
            self._entries.clear()
            self._octets = 0
