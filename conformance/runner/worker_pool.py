"""Tests side by side: while one waits for its server, others go on.

The order of the run is kept: a test begins after all before it have begun. What came of it is looked at when its turn
comes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Runnable(Protocol):
    """A test; what it raises is for itself to keep."""

    def run(self) -> None: ...


class WorkerPool:
    """So many threads that perform tests in their order."""

    def __init__(self, tests: Sequence[Runnable], count: int, stopped: Callable[[], object]) -> None:
        """`stopped` says, in any thread, that no further test is to begin."""
        self._tests = tests
        self._places = {id(test): place for place, test in enumerate(tests)}
        self._count = count
        self._stopped = stopped
        self._next = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin with the first tests."""
        for number in range(min(self._count, len(self._tests))):
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True).start()

    def has_started(self, test: Runnable) -> bool:
        """Whether a test has begun. Once `stopped` says so, those that have not will not."""
        with self._lock:
            return self._places[id(test)] < self._next

    def stop(self) -> None:
        """Begin no further test."""
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
