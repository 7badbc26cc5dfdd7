"""Tallies of a run: the assertions of its tests, per clause and binding."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from conformance.verdicts.verdicts import Key, Stop, Tally

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from conformance.specification.clauses import Book
    from conformance.verdicts.verdicts import Waiver
    from conformance.wire.trace import Recording

#: Octets kept in the recordings of all failures.
RECORDED_OCTETS = 64 << 20


class Recorder:
    """Tallies of a run. Thread-safe."""

    def __init__(
        self, book: Book, columns: Mapping[str, Collection[str]], waivers: Sequence[Waiver] = ()
    ) -> None:
        """`columns` maps each clause to the bindings in which this server is judged by it."""
        self.book = book
        self.columns = columns
        self._waivers = waivers
        self.tallies: dict[Key, Tally] = {}
        self.lock = threading.RLock()
        self._started = time.monotonic()
        self._recorded_octets = 0
        self._failed_before: frozenset[Key] = frozenset()

    def continue_from(self, elapsed: float, failed: frozenset[Key]) -> None:
        """Record for a run that began `elapsed` seconds ago in another process, and has seen these clauses fail."""
        self._started = time.monotonic() - elapsed
        self._failed_before = failed

    def has_failed(self, key: Key) -> bool:
        """True if a failure of the clause in the binding is recorded."""
        return key in self._failed_before or bool(self.tally(key).failures)

    def goes_on(self, key: Key) -> bool:
        """True if a waiver lets a test go on after a failure of this clause."""
        return any(waiver.goes_on and waiver.covers(key) for waiver in self._waivers)

    def kept(self, recording: Recording | None) -> Recording | None:
        """The recording, or None if the recordings of all failures would hold more than RECORDED_OCTETS."""
        octets = recording.octets if recording is not None else 0
        if self._recorded_octets + octets > RECORDED_OCTETS:
            return None
        self._recorded_octets += octets
        return recording

    def elapsed(self) -> float:
        """Seconds since the start of the run."""
        return time.monotonic() - self._started

    def tally(self, key: Key) -> Tally:
        """Tally of a clause in a binding, created if there is none."""
        with self.lock:
            return self.tallies.setdefault(key, Tally())

    def plan(self, test: str, clauses: Collection[str], binding: str) -> None:
        """Record that a test of these clauses is starting."""
        for clause in self.applicable(clauses, binding):
            self.tally(Key(clause, binding)).tests.add(test)

    def applicable(self, clauses: Collection[str], binding: str) -> list[str]:
        """Clauses of these that are judged in this binding."""
        return [clause for clause in clauses if binding in self.columns.get(clause, ())]

    def never_run(self, clauses: Collection[str], binding: str, reason: str) -> None:
        """Record that a test of these clauses never ran."""
        for clause in self.applicable(clauses, binding):
            self.tally(Key(clause, binding)).never_run.append(reason)

    def skip(self, test: str, clauses: Collection[str], binding: str, reason: str) -> None:
        """Record that a test of these clauses is left out on this server, and why."""
        self.plan(test, clauses, binding)
        for clause in self.applicable(clauses, binding):
            self.tally(Key(clause, binding)).skips.append(reason)

    def stop(self, test: str, clauses: Collection[str], binding: str, by: str) -> None:
        """Record that a test is not run because `by`, a root of all its clauses, never held."""
        for clause in self.applicable(clauses, binding):
            self.tally(Key(clause, binding)).stops.append(Stop(test, by))

    def failed_root(self, clauses: Collection[str], binding: str) -> str | None:
        """Failed root that blocks a test of these clauses; None unless all of them have one.

        A root counts as failed if it failed in this binding and never held. The test would only run into timeouts.
        """
        roots = [self._failed_root_of(clause, binding) for clause in self.applicable(clauses, binding)]
        return roots[0] if roots and all(roots) else None

    def _column_of(self, root: str, binding: str) -> str:
        """Column of a root: a queue over HTTP whose producers use STOMP rests on the column of those (PUB-STOMP-1)."""
        columns = self.columns.get(root, ())
        return "stomp-publish" if binding == "queue-http" and list(columns) == ["stomp-publish"] else binding

    def _failed_root_of(self, clause: str, binding: str) -> str | None:
        for root in self.book.ancestors(clause):
            tally = self.tallies.get(Key(root, self._column_of(root, binding)))
            if tally and tally.failures and not tally.held:
                return root
        return None
