"""Records what tests assert, per clause and binding.

`Recorder` is the record of a whole run, `Case` that of one test in one binding. A failed MUST raises `Violation`; it is
recorded when it leaves the test, so that of the many that Hypothesis tries only the smallest counts.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from conformance.specification.clauses import Level
from conformance.verdicts.verdicts import Failure, Key, Stop, Tally
from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from conformance.specification.clauses import Book
    from conformance.verdicts.verdicts import Waiver
    from conformance.wire.trace import TraceEntry

    Evidence = tuple[Sequence[str], Sequence[TraceEntry]]

#: Failed assertions that are kept, with their evidence, for one clause in one binding.
FAILURES_KEPT = 3
#: Longest text of something observed that is kept, in characters.
OBSERVED_LENGTH = 4000


class Recorder:
    """The tallies of a run. May be used by several threads."""

    def __init__(
        self, book: Book, columns: Mapping[str, Collection[str]], waivers: Sequence[Waiver] = ()
    ) -> None:
        """`columns` says for each clause in which bindings it is judged on this server."""
        self.book = book
        self.columns = columns
        self._waivers = waivers
        self.tallies: dict[Key, Tally] = {}
        self.lock = threading.RLock()
        self._started = time.monotonic()

    def goes_on(self, key: Key) -> bool:
        """Whether a test goes on after a failure of this clause, which is known of the target."""
        return any(waiver.goes_on and waiver.covers(key) for waiver in self._waivers)

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def tally(self, key: Key) -> Tally:
        """What is recorded about a clause in a binding."""
        with self.lock:
            return self.tallies.setdefault(key, Tally())

    def plan(self, test: str, clauses: Collection[str], binding: str) -> None:
        """Say that a test is going to decide these clauses."""
        for clause in self.applicable(clauses, binding):
            self.tally(Key(clause, binding)).tests.add(test)

    def applicable(self, clauses: Collection[str], binding: str) -> list[str]:
        """Those of the clauses that are judged in this binding."""
        return [clause for clause in clauses if binding in self.columns.get(clause, ())]

    def never_run(self, clauses: Collection[str], binding: str, reason: str) -> None:
        """Say that the run didn't come to a test of these clauses."""
        for clause in self.applicable(clauses, binding):
            self.tally(Key(clause, binding)).never_run.append(reason)

    def stop(self, test: str, clauses: Collection[str], binding: str, by: str) -> None:
        """Say that a test isn't run because `by`, on which all of its clauses depend, never held."""
        for clause in self.applicable(clauses, binding):
            self.tally(Key(clause, binding)).stops.append(Stop(test, by))

    def failed_root(self, clauses: Collection[str], binding: str) -> str | None:
        """The root that never held so far and on which all of these clauses depend, if there is one.

        A test of such clauses could only wait for what doesn't come.
        """
        roots = [self._failed_root_of(clause, binding) for clause in self.applicable(clauses, binding)]
        return roots[0] if roots and all(roots) else None

    def _failed_root_of(self, clause: str, binding: str) -> str | None:
        for root in self.book.ancestors(clause):
            tally = self.tallies.get(Key(root, binding))
            if tally and tally.failures and not tally.held:
                return root
        return None


class Case:
    """What one test asserts in one binding; `evidence` gives the steps and frames so far."""

    def __init__(
        self,
        recorder: Recorder,
        test: str,
        clauses: Sequence[str],
        binding: str,
        *,
        version: str,
        evidence: Callable[[], Evidence] = lambda: ((), ()),
    ) -> None:
        self._recorder = recorder
        self.test = test
        self.binding = binding
        self.clauses = recorder.applicable(clauses, binding)
        self._version = version
        self._evidence = evidence
        self._lock = threading.Lock()
        self._held: Counter[Key] = Counter()
        self._keys: dict[str, Key | None] = {}
        self._settled: set[str] = set()
        self._swallowed: Violation | None = None
        self.ended_at: Key | None = None
        """The clause, and its column, that counts as not obeyed because the test ended there."""

    def judge(self, clause: str, ok: bool, *, expected: str, observed: object) -> bool:
        """Record that the clause was asserted; returns `ok`.

        Raises Violation where a MUST fails, PeerFailure where the failed MUST isn't judged on this server at all.
        A failed SHOULD is recorded and the test goes on, as it does after a known deviation whose waiver says so.
        KeyError: no chapter has the clause.
        """
        level = self._recorder.book[clause].level
        key = self._key(clause)
        if ok:
            with self._lock:
                self._settled.add(clause)
                if key:
                    self._held[key] += 1
            return True
        if level is Level.MAY:
            self.observed(clause, f"not so: {observed}")
        elif level is Level.SHOULD:
            self._settled.add(clause)
            self._record_failure(clause, expected, observed)
        elif key is None:
            raise PeerFailure(f"{expected} ({clause})", observed)
        elif self._recorder.goes_on(key):
            self._settled.add(clause)
            self._record_failure(clause, expected, observed)
        else:
            self._swallowed = Violation(clause, expected, observed)
            raise self._swallowed
        return False

    def failed_elsewhere(self, clause: str) -> bool:
        """Whether a failure of the clause was recorded by now, in the column of this test; its own come at its end."""
        key = self._key(clause)
        return key is not None and bool(self._recorder.tally(key).failures)

    def observed(self, clause: str, text: str) -> None:
        """Record what a server did where it has the choice."""
        self._settled.add(clause)
        if (key := self._key(clause)) and text not in (kept := self._recorder.tally(key).observations):
            kept.append(text)

    def skip(self, clause: str, reason: str) -> None:
        """Record why this server gives no way to judge a clause here."""
        self._settled.add(clause)
        if (key := self._key(clause)) and reason not in (kept := self._recorder.tally(key).skips):
            kept.append(reason)

    def finish(self, error: BaseException | None) -> None:
        """End the test, with what was raised in it.

        A Violation counts for its clause, a PeerFailure for the first clause of the test that was not asserted,
        anything else for the suite. A failed MUST counts also where something else was raised after it.
        """
        failure = find_failure(error) if error is not None else None
        if isinstance(failure, Violation) and failure.clause not in self._recorder.book:
            failure = None
        is_suites = error is not None and failure is None
        stopped_by = self._record_end(failure or self._swallowed)
        if is_suites:
            self._record_suite_error(f"{type(error).__name__}: {error}")
        self._record_held()
        for clause in self._unsettled():
            self._recorder.tally(Key(clause, self.binding)).stops.append(Stop(self.test, stopped_by))
        self.ended_at = self._key(stopped_by) if stopped_by else None

    def finish_cut_short(self) -> None:
        """Record the assertions that were made: all that can be said of a test that was cut short."""
        self._record_end(self._swallowed)
        self._record_held()

    def _record_end(self, failure: Violation | PeerFailure | None) -> str | None:
        """Record what the test ended at; returns the clause that it counts for."""
        if failure is None:
            return None
        clause = failure.clause if isinstance(failure, Violation) else self._first_unsettled()
        return self._record_peer_failure(clause, failure)

    def _record_held(self) -> None:
        with self._recorder.lock:
            for key, count in self._held.items():
                self._recorder.tally(key).held += count

    def _record_peer_failure(self, clause: str, failure: Violation | PeerFailure) -> str:
        """Record a failure, for another clause of the test where this one isn't judged; returns which."""
        expected = failure.expected
        if self._key(clause) is None:
            expected, clause = f"{expected} ({clause})", self._first_unsettled()
        self._settled.add(clause)
        if self._recorder.book[clause].level is Level.MAY:
            self.observed(clause, f"expected {expected}; {failure.observed}")
        else:
            self._record_failure(clause, expected, failure.observed, failure.evidence)
        return clause

    def _record_suite_error(self, text: str) -> None:
        for clause in self._unsettled() or self.clauses:
            self._settled.add(clause)
            self._recorder.tally(Key(clause, self.binding)).errors.append(f"{self.test}: {text}")

    def _record_failure(
        self, clause: str, expected: str, observed: object, evidence: Evidence | None = None
    ) -> None:
        key = self._key(clause)
        if key is None:
            return
        with self._recorder.lock:
            tally = self._recorder.tally(key)
            tally.broken += 1
            if len(tally.failures) == FAILURES_KEPT:
                return
            steps, frames = evidence or self._evidence()
            tally.failures.append(
                Failure(
                    key.clause,
                    key.binding,
                    self.test,
                    expected,
                    str(observed)[:OBSERVED_LENGTH],
                    tuple(steps),
                    tuple(frames),
                    at=self._recorder.elapsed(),
                )
            )

    def _unsettled(self) -> list[str]:
        return [clause for clause in self.clauses if clause not in self._settled]

    def _first_unsettled(self) -> str:
        """The clause of the test that an unanswered or closed connection counts against: a MUST or SHOULD first."""
        candidates = self._unsettled() or self.clauses
        binding = [clause for clause in candidates if self._recorder.book[clause].level is not Level.MAY]
        return (binding or candidates)[0]

    def _key(self, clause: str) -> Key | None:
        """The column that an assertion made in this binding belongs to; None if this server has none for it.

        What the STOMP of a queue's session does wrong belongs to STOMP; a record that is published over STOMP
        for want of publishing over HTTP to the queue's binding to STOMP.
        """
        if clause not in self._keys:
            columns = self._recorder.columns.get(clause, ())
            found = (name for name in (self.binding, f"stomp-{self._version}", *columns) if name in columns)
            binding = next(found, None)
            self._keys[clause] = Key(clause, binding) if binding else None
        return self._keys[clause]


def find_failure(error: BaseException) -> Violation | PeerFailure | None:
    """The failure of the peer in what a test raised, also inside of the groups in which Hypothesis wraps it."""
    if isinstance(error, Violation | PeerFailure):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = [failure for inner in error.exceptions if (failure := find_failure(inner))]
        return min(found, key=lambda failure: isinstance(failure, PeerFailure), default=None)
    return None
