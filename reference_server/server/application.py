"""The one lock of the server, and all steps that are made under it.

The lock is held for microseconds and never during I/O: octets are parsed before it is taken, and output is
written, by one send per touched connection, after it is released.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar
from urllib.parse import unquote

from reference_server.budget import Budget
from reference_server.config import Settings
from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome
from reference_server.server.clock import Clock, RunningClock, VirtualClock, wall
from reference_server.server.long_poll import LongPoll
from reference_server.server.oddities import passage
from reference_server.server.timer import Timer
from reference_server.server.websocket import ENDPOINTS
from reference_server.stomp import Hub
from reference_server.stomp.session import Parsed, Session

Seen = TypeVar("Seen")
_PIECE = 50
"""Frames that are processed before others have their turn: each may go to a thousand subscriptions."""


class Peer(Protocol):
    """The connection of a session, as the application sees it."""

    def take_output(self) -> None:
        """Move the session's output to the outbox; called under the lock."""

    def flush(self) -> None:
        """Write the outbox; called without the lock."""

    def cut(self) -> None:
        """End the connection without a word."""


class Application:
    """Queue, STOMP sessions and clocks of one server."""

    def __init__(self, settings: Settings, name: str) -> None:
        """`name` goes into the `server` header of CONNECTED."""
        self.settings = settings
        self.began = wall()
        self.clock: Clock = VirtualClock() if settings.virtual_clock else RunningClock()
        self.budget = Budget(settings.total_bytes)
        self._broker = QueueBroker(settings, self.budget)
        self.events = self._broker.events
        self.operations = Operations(self._broker, wall)
        self.timer = Timer(self._tick)
        self._lock = threading.Lock()
        self._hub = Hub[Session](
            self.operations, settings, self.budget, self.events, users=settings.users, server_name=name
        )
        self._peers: dict[Session, Peer] = {}
        self.write, self._read = passage(settings.odd)
        """Edits of the output of sessions, made under the lock, and of their input, made without it."""
        self.on_frames: Callable[[Session, Parsed], None] | None = None
        """Observer of all input of sessions; called under the lock."""
        self.endpoints = dict.fromkeys(map(unquote, settings.path), False) | ENDPOINTS
        """The paths for WebSocket, and whether each is lenient."""
        self.has_page = True
        """True if the live page can show the state, which is all here."""
        self._farewell: tuple[str, str] | None = None
        """Summary and advice of the ERROR for sessions that are opened while the server stops."""

    def close(self) -> None:
        """End what `__init__` began."""

    # STOMP sessions.

    def check_user(self, login: str, passcode: str, address: str) -> None:
        """Raise ProtocolError as a CONNECT with these would; any thread may call it."""
        self._hub.check_user(login, passcode, address, wall())

    def open_session(self, *, lenient: bool, address: str = "") -> Session:
        """Open a session; nothing is written before it is attached to its connection."""
        with self._turn():
            return Session(self._hub, lenient=lenient, address=address, now=wall())

    def attach(self, session: Session, peer: Peer) -> None:
        """Set the connection that writes the session's output."""
        with self._turn():
            self._peers[session] = peer
            if self._farewell is not None:
                session.fail(*self._farewell)

    def handle(self, session: Session, items: Parsed) -> None:
        """Process frames of a session; if there are many, in pieces."""
        understood = self._read(session, items)
        for start in range(0, len(items) or 1, _PIECE):
            with self._turn("stomp") as now:
                self.events.frames_received += len(understood[start : start + _PIECE])
                session.handle(understood[start : start + _PIECE], wall(), now)
                if self.on_frames is not None:
                    self.on_frames(session, items[start : start + _PIECE])

    def fail(self, session: Session, summary: str, advice: str) -> None:
        """End a session from the server's side."""
        with self._turn():
            session.fail(summary, advice)

    def fail_all(self, summary: str, advice: str) -> None:
        """End all sessions from the server's side, and those that are being opened."""
        with self._turn():
            self._farewell = (summary, advice)
            for session in self._peers:
                session.fail(summary, advice)

    def resume(self, session: Session) -> None:
        """Let queues deliver again to a session whose output was written."""
        with self._turn():
            session.resume()

    def close_session(self, session: Session) -> None:
        """End the session of a connection that is over; unacknowledged messages go to others. Idempotent."""
        with self._turn():
            if self._peers.pop(session, None) is not None:
                session.lost(wall())

    def look(self, see: Callable[[Mapping[Session, Peer]], Seen]) -> Seen:
        """Return what `see` makes of the open sessions, oldest first, and their connections; it holds the lock."""
        with self._turn():
            return see(self._peers)

    # Operations over HTTP.

    def perform(self, path: str, body: bytes, waiter: LongPoll) -> Outcome | None:
        """Perform an operation; None: a long poll, whose answer `waiter` will get (POLL-WAIT-1)."""
        with self._turn("http") as now:
            outcome = self.operations.perform(path, body, now=now, waiter=waiter)
            if outcome is not None and outcome.acknowledgement is not None:
                self._hub.router.binding.acknowledge_producer(outcome.acknowledgement)  # PUB-ACK-8
            return outcome

    def cancel(self, waiter: LongPoll) -> None:
        """End a long poll whose client is gone."""
        with self._turn():
            self.operations.long_polls.cancel(waiter)

    def read(self, path: str) -> Outcome:
        """Answer an introspection request."""
        with self._turn("http") as now:
            return self.operations.read(path, now=now)

    def read_in_pieces(self, pieces: Iterator[Seen]) -> Iterator[Seen]:
        """Return what `pieces` yields; each step is a turn of its own, so that nobody waits for all of them."""

        def step() -> Seen | None:
            with self._turn():
                return next(pieces, None)

        return iter(step, None)

    def advance(self, body: bytes) -> Outcome:
        """Advance the virtual clock, or the time of the group that the body names (CLOCK-1, CLOCK-3)."""
        assert isinstance(self.clock, VirtualClock)
        with self._turn() as now:
            return self.operations.advance(body, self.clock.advance, now=now)

    @contextlib.contextmanager
    def _turn(self, binding: str = "") -> Iterator[float]:
        """Hold the lock for one step: do what is due on the queue, yield its time, then collect and flush all output.

        Every step, also one that only reads, may evict a consumer and so answer long polls of others (POLL-WAIT-1).
        With a `binding`, its time is that of a request.
        """
        began = wall()
        with self._lock:
            self.events.lock_wait.add(wall() - began)
            now = self.clock.now()
            self._broker.tick(now)
            yield now
            touched = self._collect()
            due = self._due()
        if binding:
            self.events.request_time[binding].add(wall() - began)
        for each in touched:
            each.flush()
        self.timer.wake_by(due)

    def _collect(self) -> list[Peer | LongPoll]:
        """Move new output to the connections; return those to flush after the lock is released."""
        hub = self._hub
        touched: list[Peer | LongPoll] = []
        for waiter, outcome in hub.operations_answered(wall()):
            assert isinstance(waiter, LongPoll)
            waiter.answer(outcome)
            touched.append(waiter)
        while sessions := hub.take_touched():
            for session in sessions:
                peer = self._peers.get(session)
                if peer is not None:
                    peer.take_output()
                    touched.append(peer)
        return touched

    def _due(self) -> float:
        """Wall time of the next timer."""
        return min(
            self._hub.deadlines.next,
            self.operations.long_polls.deadlines.next,
            self.clock.wall_time_of(self._broker.next_deadline()),
        )

    def _tick(self) -> None:
        with self._turn():
            self._hub.tick(wall())
