"""Scheduling delay of this machine: the error that a busy machine adds to every time the suite measures."""

from __future__ import annotations

import threading
import time

SAMPLE_SECONDS = 0.01


class SchedulingDelay:
    """Thread that samples how far a wait of SAMPLE_SECONDS overruns."""

    def __init__(self) -> None:
        self._longest = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="scheduling-delay", daemon=True)

    def start(self) -> None:
        """Start the sampling thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the sampling thread, and wait for its end."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def longest(self) -> float:
        """Longest overrun so far, in seconds."""
        return self._longest

    def _sample(self) -> None:
        before = time.monotonic()
        while not self._stopped.wait(SAMPLE_SECONDS):
            now = time.monotonic()
            self._longest = max(self._longest, now - before - SAMPLE_SECONDS)
            before = now
