"""Threads that run tests concurrently.

Tests start in collection order; results are reported in that order.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Runnable(Protocol):
    """A test. `run` must not raise."""

    def run(self) -> None: ...


class WorkerPool:
    """`count` threads that start tests in the order given."""

    def __init__(self, tests: Sequence[Runnable], count: int, stopped: Callable[[], object]) -> None:
        """`stopped`, called in any thread, returns a true value when no further test may start."""
        self._tests = tests
        self._places = {id(test): place for place, test in enumerate(tests)}
        self._count = count
        self._stopped = stopped
        self._next = 0
        self._is_started = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the threads. May be called twice."""
        if self._is_started:
            return
        self._is_started = True
        for number in range(min(self._count, len(self._tests))):
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True).start()

    def has_started(self, test: Runnable) -> bool:
        """True if a test has started. After `stopped` returned a true value, no other test will."""
        with self._lock:
            return self._places[id(test)] < self._next

    def stop(self) -> None:
        """Start no further test."""
        with self._lock:
            self._tests = self._tests[: self._next]

    def _run(self) -> None:
        while (test := self._take()) is not None:
            test.run()

    def _take(self) -> Runnable | None:
        with self._lock:
            if self._next == len(self._tests) or self._stopped():
                return None
            self._next += 1
            return self._tests[self._next - 1]
