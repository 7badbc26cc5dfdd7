"""What waits to be written to one connection, and the one thread that serves slow readers.

Frames are put in under the application lock, in the order in which they were made, and written after it is
released, by whichever thread comes first. That thread never waits for the reader: what the socket does not
take at once is finished by the `Writer`. Whoever finds the outbox busy leaves its frames to the thread that
is writing, which looks again before it goes.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.server.transport import Transport

CHUNK_BYTES = 256 * 1024
"""About as much is encoded at a time; the rest can still be dropped when the reader is too slow."""


def _do_nothing() -> None:
    pass


class Outbox:
    """First in, first out, of bounded size."""

    def __init__(
        self,
        transport: Transport,
        writer: Writer,
        limit: int,
        *,
        encode: Callable[[list[bytes]], bytes],
        on_room: Callable[[], None],
    ) -> None:
        """`limit` is in octets. `encode` makes the wire's octets of items; the writer calls `on_room` when
        a slow reader has taken all.
        """
        self._transport = transport
        self._writer = writer
        self._limit = limit
        self._encode = encode
        self._on_room = on_room
        self._lock = threading.Lock()
        """Guards the three below; held for an instant."""
        self._items: deque[bytes] = deque()
        self._octets = 0
        self._finishing = False
        self._writing = threading.Lock()
        """Held by the thread that writes; guards the three below."""
        self._unsent = memoryview(b"")
        self._watched = False
        self._finished = False

    @property
    def is_empty(self) -> bool:
        """Whether everything was handed to the operating system."""
        return not self._items and not self._unsent

    def put(self, items: list[bytes]) -> bool:
        """Add items; return whether the bound still holds. After `finish` they are dropped."""
        with self._lock:
            if not self._finishing:
                self._items.extend(items)
                self._octets += sum(map(len, items))
            return self._octets <= self._limit

    def clear(self) -> None:
        """Drop what waits, but not what is being written: a frame that has begun stays whole."""
        with self._lock:
            self._items.clear()
            self._octets = 0

    def finish(self) -> None:
        """Take nothing more; half-close the connection when all is written (STOMP-WS-013)."""
        with self._lock:
            self._finishing = True

    def release(self) -> None:
        """Let go of the connection, which is over and which `on_room` refers to."""
        self._on_room = _do_nothing

    def flush(self) -> None:
        """Write what the socket takes; the writer does the rest."""
        while self._is_pending() and not self._watched and self._writing.acquire(blocking=False):
            try:
                self._write()
            finally:
                self._writing.release()

    def flush_slow(self) -> None:
        """Write on; only the writer calls it."""
        with self._writing:
            self._watched = False
            self._write()
        self.flush()
        if self.is_empty:
            self._on_room()

    def watch(self) -> None:
        """Have the writer call `flush_slow` when the socket takes more, though nothing waits."""
        with self._writing:
            self._watch()

    def fileno(self) -> int:
        """The descriptor of the connection; -1: it is closed."""
        return self._transport.fileno()

    def _is_pending(self) -> bool:
        return not self.is_empty or (self._finishing and not self._finished)

    def _write(self) -> None:
        try:
            while self._is_pending() and self._write_some():
                pass
        except OSError:  # the peer is gone; its reading thread finds out and cleans up
            self.finish()
            self.clear()
            self._unsent = memoryview(b"")
            self._finished = True
            self._transport.cut()

    def _write_some(self) -> bool:
        """Make one system call; return False where the socket is full."""
        if not self._unsent:
            items = self._take()
            if not items:
                self._finished = True
                self._transport.half_close()
                return True
            self._unsent = memoryview(self._transport.seal(self._encode(items)))
        self._unsent = self._unsent[self._transport.send_some(self._unsent) :]
        if not self._unsent:
            return True
        self._watch()
        return False

    def _take(self) -> list[bytes]:
        with self._lock:
            if self._octets <= CHUNK_BYTES:
                items = list(self._items)
                self._items.clear()
                self._octets = 0
                return items
            items = []
            size = 0
            while self._items and size < CHUNK_BYTES:
                items.append(self._items.popleft())
                size += len(items[-1])
            self._octets -= size
            return items

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            self._writer.watch(self)


class Writer(threading.Thread):
    """Waits until slow readers take more."""

    def __init__(self) -> None:
        super().__init__(name="writer", daemon=True)
        self._new: deque[Outbox] = deque()
        self._stopping = False

    def start(self) -> None:
        """Start the thread."""
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        super().start()

    def watch(self, outbox: Outbox) -> None:
        """Call `outbox.flush_slow` once, when its socket takes more."""
        self._new.append(outbox)
        self._nudge()

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._nudge()
        self.join()
        self._wake.close()
        self._woken.close()

    def run(self) -> None:
        """Serve until `stop`."""
        watched: list[Outbox] = []
        while not self._stopping:
            # A set of descriptors made anew each time cannot go stale when a connection is closed;
            # slow readers are few.
            poll = select.poll()
            poll.register(self._woken, select.POLLIN)
            for outbox in watched:
                if (descriptor := outbox.fileno()) >= 0:
                    poll.register(descriptor, select.POLLOUT)
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._woken.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
            served = [outbox for outbox in watched if outbox.fileno() in ready or outbox.fileno() < 0]
            watched = [outbox for outbox in watched if outbox not in served]
            for outbox in served:
                outbox.flush_slow()
            while self._new:
                watched.append(self._new.popleft())
            watched = [outbox for outbox in watched if outbox.fileno() >= 0]

    def _nudge(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake; closed: there is nobody to be woken
            self._wake.send(b"x")
