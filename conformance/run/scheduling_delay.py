"""How late this machine lets a thread run: what a busy machine adds to every time that the suite measures."""

from __future__ import annotations

import threading
import time

SAMPLE_SECONDS = 0.01


class SchedulingDelay:
    """Samples, in a thread of its own, by how much a wait of SAMPLE_SECONDS is overrun."""

    def __init__(self) -> None:
        self._longest = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="scheduling-delay", daemon=True)

    def start(self) -> None:
        """Sample from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def longest(self) -> float:
        """The longest overrun so far, in seconds."""
        return self._longest

    def _sample(self) -> None:
        before = time.monotonic()
        while not self._stopped.wait(SAMPLE_SECONDS):
            now = time.monotonic()
            self._longest = max(self._longest, now - before - SAMPLE_SECONDS)
            before = now
