"""Ctrl-C, SIGTERM and SIGHUP: the run ends, with what was judged, and leaves no process behind."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from conformance.run.run import Run


class Interruption:
    """Ends the wait for a server, the first contact or the run on Ctrl-C, even if the KeyboardInterrupt is swallowed.

    Hypothesis swallows it in some places, and Python in every finalizer. Setting `event` ends all waits for the server.
    SIGTERM and SIGHUP do the same: a launched server has to be stopped, and faults to be healed. A signal that is
    ignored, as nohup ignores SIGHUP, or that a program around the suite handles, stays as it is.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.run: Run | None = None
        self._replaced: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                if number and signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                    self._replaced[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._replaced.items():
            signal.signal(number, handler)

    def _interrupt(self, _number: int, _frame: object) -> None:
        if self.run is not None:
            self.run.end_early("interrupted")
        self.event.set()
        raise KeyboardInterrupt
