"""Output of one connection that waits to be written.

Frames are put in under the application lock, in the order in which they were made, and written after it is
released, by whichever thread comes first. That thread never waits for the reader: a thread of its own, which
exists only while the reader is slow, writes the rest that the socket does not take at once. A thread that finds
another one writing leaves its frames to that one, which looks again before it goes.
"""

from collections import deque
from collections.abc import Callable
from threading import Lock, Thread

from reference_server.budget import Charge
from reference_server.server.transport import Transport
from reference_server.stomp.outlet import Large, size_of

CHUNK_BYTES = 256 * 1024
"""About as much is encoded at a time; the rest can still be dropped when the reader is too slow."""


class Outbox:
    """First in, first out, of bounded size."""

    def __init__(
        self, transport: Transport, limit: int, encode: Callable[[list[bytes]], bytes], charge: Charge
    ) -> None:
        """`limit` is in bytes; `encode` makes the octets of the wire from items; `charge` is for what waits."""
        self._transport = transport
        self._limit = limit
        self._encode = encode
        self._charge = charge
        self._lock = Lock()
        """Guards the three below; held for an instant."""
        self._items: deque[bytes] = deque()
        self._octets = 0
        self._finishing = False
        self._writing = Lock()
        """Held by the thread that writes; guards the five below."""
        self._unsent = memoryview(b"")
        self._tail = b""
        """The rest of the frame that `_unsent` begins."""
        self._is_slow = False
        self._has_thread = False
        self._finished = False

    @property
    def is_empty(self) -> bool:
        """True if everything was handed to the operating system."""
        return not self._items and not self._unsent and not self._tail

    def put(self, items: list[bytes]) -> bool:
        """Add items; return whether the bound still holds. After `finish` they are dropped."""
        with self._lock:
            if not self._finishing:
                self._items.extend(items)
                self._octets += sum(map(size_of, items))
                if self._is_slow:
                    self._charge.set(self._charge.octets + sum(map(len, items)))
            return self._octets <= self._limit

    def clear(self) -> None:
        """Drop all items that wait; a frame that is being written stays whole."""
        with self._lock:
            self._items.clear()
            self._octets = 0
            self._charge.set(0)

    def finish(self) -> None:
        """Take nothing more; half-close the connection when all is written (STOMP-WS-013)."""
        with self._lock:
            self._finishing = True

    def flush(self, on_room: Callable[[], None]) -> None:
        """Write as much as the socket takes. A thread writes the rest, if there is one, and then calls `on_room`."""
        while self._is_pending() and not self._is_slow and self._writing.acquire(blocking=False):
            try:
                self._write()
                if self._is_slow:
                    self._need_thread(on_room)
            finally:
                self._writing.release()

    def hand_over(self, on_room: Callable[[], None]) -> None:
        """Have a thread call `on_room` and write the new output, until `hand_over` is not called again."""
        with self._writing:
            self._is_slow = True
            self._need_thread(on_room)

    def _need_thread(self, on_room: Callable[[], None]) -> None:
        if not self._has_thread:
            self._has_thread = True
            Thread(target=self._serve_slow_reader, args=(on_room,), name="slow reader", daemon=True).start()

    def _serve_slow_reader(self, on_room: Callable[[], None]) -> None:
        while True:
            self._transport.wait_until_writable()
            with self._writing:
                self._is_slow = False
                self._write()
            self.flush(on_room)
            if self.is_empty:
                on_room()
            with self._writing:
                if not self._is_slow:
                    self._has_thread = False
                    return

    def _is_pending(self) -> bool:
        return not self.is_empty or (self._finishing and not self._finished)

    def _write(self) -> None:
        try:
            while self._is_pending() and self._write_some():
                pass
        except OSError:  # the peer is gone; the reading thread notices and cleans up
            self.finish()
            self.clear()
            self._unsent, self._tail = memoryview(b""), b""
            self._finished = True
            self._transport.cut()

    def _write_some(self) -> bool:
        """Make one system call; return False if the socket is full."""
        if not self._unsent and self._tail:
            self._unsent, self._tail = memoryview(self._transport.seal(self._tail)), b""
        elif not self._unsent:
            items = self._take()
            if not items:
                self._finished = True
                self._transport.half_close()
                return True
            self._unsent = memoryview(self._transport.seal(self._encode(items)))
            if type(items[-1]) is Large:
                self._tail = items[-1].tail
        self._unsent = self._unsent[self._transport.send_some(self._unsent) :]
        self._is_slow = bool(self._unsent)
        if self._is_slow or self._charge.octets:
            with self._lock:
                self._charge.set(self._is_slow and len(self._unsent) + sum(map(len, self._items)))
        return not self._is_slow

    def _take(self) -> list[bytes]:
        """Take some items, of which only the last may be a large one."""
        with self._lock:
            items: list[bytes] = []
            size = 0
            while self._items and size < CHUNK_BYTES and not (items and type(items[-1]) is Large):
                items.append(self._items.popleft())
                size += size_of(items[-1])
            self._octets -= size
            return items
