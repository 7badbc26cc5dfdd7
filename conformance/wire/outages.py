"""Times in which the server of a run was away."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outage:
    """Time in which no connection could be made, in monotonic seconds; `ended` None: it lasts."""

    began: float
    ended: float | None


class Outages:
    """Outages of one server, in order. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outages: list[Outage] = []

    def note_outage(self, began: float) -> None:
        """Note that the server did not answer at `began`, in monotonic seconds."""
        with self._lock:
            if not self._outages or self._outages[-1].ended is not None:
                self._outages.append(Outage(began, None))

    def note_return(self) -> None:
        """Note that the server answers again, if it was away."""
        with self._lock:
            if self._outages and self._outages[-1].ended is None:
                self._outages[-1] = Outage(self._outages[-1].began, time.monotonic())

    def was_away_since(self, moment: float) -> bool:
        """True if the server was away at any time after `moment`, in monotonic seconds."""
        with self._lock:
            return any(outage.ended is None or outage.ended >= moment for outage in self._outages)
