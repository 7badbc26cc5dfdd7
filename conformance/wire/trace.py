"""Trace of the octets on the wire, with time and direction: the evidence of a failure.

A trace also keeps the events around the octets: connections opened and closed, and waits in which nothing came. A
`Recording` of them is what `python -m conformance replay` sends again.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from websocket import ABNF

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Direction = Literal[">", "<"]
Kind = Literal["stomp", "http", "ws"]
What = Literal["open", "upgraded", "send", "receive", "nothing", "end", "close", "step"]

ENTRY_LIMIT = 20_000
OCTET_LIMIT = 8 << 20
#: Octets kept of one entry; the rest is only counted.
ENTRY_OCTETS = 64 << 10
#: Octets kept of one entry that the suite sent.
SENT_OCTETS = 1 << 20
#: Shortest wait without an answer that is noted, in seconds.
SHORTEST_WAIT = 0.02
#: Beginnings of messages that set a session up; `Trace.forget` keeps those of open connections.
_SETTING_UP = (b"CONNECT", b"STOMP\n", b"SUBSCRIBE\n", b"CONNECTED")
_NO_FACTS: Mapping[str, Any] = MappingProxyType({})
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


class Event(NamedTuple):
    """Event of a connection, or a step of the test (`connection` is ""); times and sizes as in TraceEntry.

    `facts` depend on the event: how a connection was opened or closed, the opcode of a WebSocket frame, the seconds
    of a wait.
    """

    at: float
    connection: str
    what: What
    kind: str
    octets: bytes = b""
    size: int = 0
    facts: Mapping[str, Any] = _NO_FACTS


@dataclass(frozen=True)
class Recording:
    """Events up to a failure, which came at `failed_at`.

    `dropped` is the number of oldest events that were not kept. `held` has for each clause the number of events, of
    those kept, before its last assertion that held; for "" before the last one of any clause.
    """

    events: tuple[Event, ...]
    failed_at: float
    dropped: int = 0
    held: Mapping[str, int] = field(default_factory=dict)

    @property
    def octets(self) -> int:
        """Octets that the events hold."""
        return sum(len(event.octets) for event in self.events)


class Trace:
    """Newest events of any number of connections. Thread-safe."""

    def __init__(
        self,
        entries: int = ENTRY_LIMIT,
        octets: int = OCTET_LIMIT,
        sent: Callable[[bytes], object] | None = None,
        received: Callable[[], object] | None = None,
    ) -> None:
        """`sent` is called with the kept octets of each message of the suite, `received` for each of the server."""
        self._sent, self._received = sent, received
        self._events: deque[tuple[int, Event]] = deque()
        self._entry_limit = entries
        self._octet_limit = octets
        self._octets = 0
        self._total = 0
        self._dropped = 0
        self._held: dict[str, int] = {}
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

    def record(self, connection: str, direction: Direction, kind: Kind, octets: bytes, **facts: Any) -> None:
        """Add octets, and drop the oldest events beyond the bounds."""
        is_sent, size = direction == ">", len(octets)
        limit = SENT_OCTETS if is_sent else ENTRY_OCTETS
        kept = octets if size <= limit else octets[:limit]
        if is_sent:
            if self._sent is not None:
                self._sent(kept)
        elif self._received is not None:
            self._received()
        what: What = "send" if is_sent else "receive"
        at = time.monotonic() - self._started
        self._add(Event(at, connection, what, kind, kept, size, facts or _NO_FACTS))

    def note(self, connection: str, what: What, kind: str = "", **facts: Any) -> None:
        """Add an event without octets."""
        if what != "nothing" or facts["seconds"] >= SHORTEST_WAIT:
            self._add(Event(self.now(), connection, what, kind, facts=facts))

    def noting(self, connection: str) -> Callable[..., None]:
        """`note` for one connection."""
        return lambda what, **facts: self.note(connection, what, **facts)

    def hold(self, clause: str) -> None:
        """Note that an assertion of the clause held for all events so far."""
        self._held[clause] = self._held[""] = self._total

    def entries(self) -> list[TraceEntry]:
        """Kept octets, oldest first."""
        with self._lock:
            events = list(self._events)
        return [entry_of(event) for _, event in events if event.what in ("send", "receive")]

    def recording(self) -> Recording:
        """Kept events up to now, when an assertion fails."""
        with self._lock:
            events, dropped, held = list(self._events), self._dropped, dict(self._held)
        numbers = [number for number, _ in events]
        return Recording(
            tuple(event for _, event in events),
            self.now(),
            dropped,
            {clause: bisect.bisect_left(numbers, total) for clause, total in held.items()},
        )

    def forget(self) -> None:
        """Drop the events of earlier examples: all but the opening and the session of connections that are open."""
        with self._lock:
            ended = {event.connection for _, event in self._events if event.what in ("end", "close")}
            kept = [
                (number, event)
                for number, event in self._events
                if event.connection
                and event.connection not in ended
                and (event.what in ("open", "upgraded") or event.octets.startswith(_SETTING_UP))
            ]
            self._events = deque(kept)
            self._octets = sum(len(event.octets) for _, event in kept)
            self._dropped = 0

    def clear(self) -> None:
        """Drop all events; times still count from the start of the trace."""
        with self._lock:
            self._events.clear()
            self._octets = 0

    def now(self) -> float:
        """Seconds since the start of the trace."""
        return time.monotonic() - self._started

    def _add(self, event: Event) -> None:
        octets = len(event.octets)
        with self._lock:
            self._events.append((self._total, event))
            self._total += 1
            self._octets += octets
            if event.what == "send":
                self.sent += event.size
            while self._octets > self._octet_limit or len(self._events) > self._entry_limit:
                self._octets -= len(self._events.popleft()[1].octets)
                self._dropped += 1


def entry_of(event: Event) -> TraceEntry:
    """Octets of an event as reports show them: a WebSocket control frame begins with its name."""
    octets, size = event.octets[:ENTRY_OCTETS], event.size
    opcode = event.facts.get("opcode")
    if event.kind == "ws" and opcode is not None:
        name = f"{ABNF.OPCODE_MAP.get(opcode, f'opcode {opcode}')} ".encode()
        octets, size = name + octets, size + len(name)
    direction: Direction = ">" if event.what == "send" else "<"
    return TraceEntry(event.at, event.connection, direction, event.kind, octets, size)  # type: ignore[arg-type]


def bounded(entries: Sequence[TraceEntry], octets: int) -> tuple[TraceEntry, ...]:
    """The entries; those of the server are cut to CUT_OCTETS, but for the newest ones of `octets` in all."""
    kept: list[TraceEntry] = []
    for entry in reversed(entries):
        if entry.direction == "<" and octets < len(entry.octets) and len(entry.octets) > CUT_OCTETS:
            entry = entry._replace(octets=entry.octets[:CUT_OCTETS])
        octets -= len(entry.octets) if entry.direction == "<" else 0
        kept.append(entry)
    return tuple(reversed(kept))
