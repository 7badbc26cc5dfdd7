"""The timer thread."""

import math
import threading
from collections.abc import Callable

from reference_server.deadlines import Deadlines
from reference_server.server.clock import wall


class Timer(threading.Thread):
    """Runs `tick` at the wall time that `wake_by` asked for, and other calls at theirs."""

    def __init__(self, tick: Callable[[], None]) -> None:
        """`tick` does what is due, and calls `wake_by` with the time of the next call."""
        super().__init__(name="timer", daemon=True)
        self.due = math.inf
        """Wall time of the next tick. Reading it without a lock costs at worst one needless wake-up."""
        self._tick = tick
        self._changed = threading.Condition()
        self._calls: Deadlines[Callable[[], None]] = Deadlines()
        self._stopping = False

    def wake_by(self, when: float) -> None:
        """Make sure that `tick` runs at that wall time."""
        if when < self.due:
            with self._changed:
                self.due = min(self.due, when)
                self._changed.notify()

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        """Have a short function called once at that wall time, or earlier if it is scheduled already."""
        with self._changed:
            self._calls.set(call, when)
            self.due = min(self.due, when)
            self._changed.notify()

    def stop(self) -> None:
        """End the thread without the calls that are still scheduled."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self.join()

    def run(self) -> None:
        """Serve until `stop`."""
        while True:
            with self._changed:
                while not self._stopping and (left := self.due - wall()) > 0:
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                if self._stopping:
                    return
                self.due = math.inf
                calls = self._calls.take_due(wall())
            for call in calls:
                call()
            self._tick()
            with self._changed:
                self.due = min(self.due, self._calls.next)
