"""Progress of a run: a bar on a terminal, a line at intervals elsewhere."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from conformance.reporting.octets import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.reporting.screen import Screen

#: Seconds between two lines, for a stream without a bar.
INTERVAL = 10.0


class ProgressView(Protocol):
    """View of the progress of a run. Thread-safe."""

    def update(self, progress: RunProgress) -> None:
        """Show the progress, unless it was shown a short time ago."""

    def end(self) -> None:
        """Stop showing progress."""


class RunProgress:
    """Tests started and ended so far. Thread-safe."""

    def __init__(self, tests: int) -> None:
        self.tests = tests
        self.ended = 0
        self.outcomes: Counter[str] = Counter()
        self.seconds_left: float | None = None
        self._running: dict[str, None] = {}
        self._lock = threading.Lock()

    def start(self, name: str) -> None:
        """Count a test as started."""
        with self._lock:
            self._running[name] = None
            self.seconds_left = None

    def end(self, name: str, outcome: str) -> None:
        """Count a test as ended."""
        with self._lock:
            self._running.pop(name, None)
            self.seconds_left = None
            self.ended += 1
            self.outcomes[outcome] += 1

    @property
    def is_between_tests(self) -> bool:
        """True if no test is running and not all have ended."""
        with self._lock:
            return not self._running and self.ended < self.tests

    def status_line(self) -> str:
        """Outcomes other than passes, and the newest running test, on one line."""
        with self._lock:
            parts = [
                f"{number} {outcome}" for outcome, number in self.outcomes.items() if outcome != "passed"
            ]
            newest = next(reversed(self._running), "")
        if self.seconds_left is not None:
            parts.append(f"waiting for real time to pass, {self.seconds_left:.0f} s left")
        elif newest:
            parts.append(one_line(newest))
        return ", ".join(parts)


class Bar:
    """A progress bar, redrawn in place and removed at the end."""

    def __init__(self, screen: Screen, tests: int) -> None:
        self._progress = Progress(
            BarColumn(20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
            console=screen.console,
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
            expand=True,
        )
        self._task = self._progress.add_task("", total=tests)
        self._progress.start()

    def update(self, progress: RunProgress) -> None:
        """Show the progress at the next refresh."""
        self._progress.update(
            self._task, completed=progress.ended, total=progress.tests, description=progress.status_line()
        )

    def end(self) -> None:
        """Remove the bar."""
        self._progress.stop()


class Lines:
    """A line of progress every INTERVAL seconds."""

    def __init__(self, screen: Screen, now: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._now = now
        self._began = self._last = now()
        self._lock = threading.Lock()

    def update(self, progress: RunProgress) -> None:
        """Print a line if INTERVAL seconds have passed since the last one."""
        with self._lock:
            now = self._now()
            if now - self._last < INTERVAL or progress.is_between_tests:
                return  # the next update can name a running test
            self._last = now
            said = f", {text}" if (text := progress.status_line()) else ""
            self._screen.line(
                f"{progress.ended} of {progress.tests} tests in {now - self._began:.0f} s{said}"
            )
            self._screen.console.file.flush()

    def end(self) -> None:
        """Do nothing: printed lines stay."""
