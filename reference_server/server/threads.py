"""Threads that serve one connection after another: starting a thread costs more than many connections do."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

IDLE_AT_MOST = 32
"""Threads that wait for their next work; others end."""


class Threads:
    """Daemon threads, as many as there is work at once, and some that are kept for the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.idle = 0
        """Number of threads that wait for work."""
        self._is_closed = False
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def run(self, work: Callable[[], None]) -> None:
        """Run `work`, which handles its own exceptions, in a thread of its own until it is over."""
        with self._lock:
            is_waited_for = self.idle > 0
            self.idle -= is_waited_for
        if is_waited_for:
            self._work.put(work)
        else:
            threading.Thread(target=self._go_on, args=(work,), daemon=True).start()

    def close(self) -> None:
        """End the idle threads, and the others after their work."""
        with self._lock:
            self._is_closed = True
            for _ in range(self.idle):
                self._work.put(None)
            self.idle = 0

    def _go_on(self, work: Callable[[], None] | None) -> None:
        while work is not None:
            work()
            del work  # it may hold a whole connection
            with self._lock:
                if self._is_closed or self.idle == IDLE_AT_MOST:
                    return
                self.idle += 1
            work = self._work.get()
