"""Record of one test in one binding, added to the tallies of the run.

A failed MUST raises `Violation`, which is recorded when it leaves the test, so that of the many failures that
Hypothesis tries only the smallest counts.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from conformance.specification.clauses import Level
from conformance.verdicts.verdicts import Failure, Key, Stop
from conformance.wire.cutting import cut
from conformance.wire.failures import Evidence, NotAdmitted, PeerFailure, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.verdicts.recorder import Recorder

#: Failed assertions kept with their evidence, per clause and binding.
FAILURES_KEPT = 3
#: Longest observed text that is kept, in characters.
OBSERVED_LENGTH = 4000


class Case:
    """Record of one test in one binding; `evidence` returns the steps and frames so far."""

    def __init__(
        self,
        recorder: Recorder,
        test: str,
        clauses: Sequence[str],
        binding: str,
        *,
        version: str,
        evidence: Callable[[], Evidence] = Evidence,
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
        """Clause and column that failed because the test ended there; None before the end, and without a failure."""

    def judge(self, clause: str, ok: bool, *, expected: str, observed: object) -> bool:
        """Record an assertion of the clause; returns `ok`.

        A failed SHOULD is recorded and the test goes on, as it does after a known deviation whose waiver says so.
        Raises Violation if a MUST fails, PeerFailure if the failed MUST is not judged on this server, KeyError if the
        clause is unknown.
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
        """True if another test has recorded a failure of the clause in this test's column."""
        key = self._key(clause)
        return key is not None and self._recorder.has_failed(key)

    def observed(self, clause: str, text: str) -> None:
        """Record the server's behaviour where the text leaves a choice."""
        self._settled.add(clause)
        if (key := self._key(clause)) and text not in (kept := self._recorder.tally(key).observations):
            kept.append(text)

    def skip(self, clause: str, reason: str) -> None:
        """Record why the clause can't be judged on this server."""
        self._settled.add(clause)
        if (key := self._key(clause)) and reason not in (kept := self._recorder.tally(key).skips):
            kept.append(reason)

    def finish(self, error: BaseException | None) -> None:
        """End the test, with the exception that it raised.

        A Violation counts against its clause, a PeerFailure against the clause that promises the answer or else the
        first clause of the test that was not asserted, any other exception against the suite. A failed MUST counts
        even if another exception followed it. A connection that was refused to a test of other clauses shows nothing.
        """
        failure = find_failure(error) if error is not None else None
        if isinstance(failure, NotAdmitted) and failure.promises:
            failure.promise = next((clause for clause in failure.promises if clause in self.clauses), "")
            if not failure.promise and self._swallowed is None:
                self.not_asked(f"the server refused a connection: {failure.observed}")
                self._record_held()
                return
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

    def not_asked(self, reason: str) -> None:
        """Record why the clauses that the test has not asserted could not be asked; they end inconclusive."""
        self._recorder.never_run(self._unsettled() or self.clauses, self.binding, reason)

    def forget_failure(self) -> None:
        """Forget the failed MUST at which the test ended, since the test is repeated or shows nothing."""
        self._swallowed = None

    def finish_cut_short(self) -> None:
        """End an interrupted test: record only the assertions that it made."""
        self._record_end(self._swallowed)
        self._record_held()

    def _record_end(self, failure: Violation | PeerFailure | None) -> str | None:
        """Record the failure that ended the test; returns the clause that it counts against."""
        if failure is None:
            return None
        if isinstance(failure, Violation):
            clause = failure.clause
        elif failure.promise in self._recorder.book and self._key(failure.promise) is not None:
            clause = failure.promise
        else:
            clause = self._first_unsettled()
        return self._record_peer_failure(clause, failure)

    def _record_held(self) -> None:
        with self._recorder.lock:
            for key, count in self._held.items():
                self._recorder.tally(key).held += count

    def _record_peer_failure(self, clause: str, failure: Violation | PeerFailure) -> str:
        """Record a failure of the clause or, if it isn't judged here, of another of the test; returns that clause."""
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
            steps, frames, recording = Evidence(*(evidence or self._evidence()))
            tally.failures.append(
                Failure(
                    key.clause,
                    key.binding,
                    self.test,
                    expected,
                    cut(str(observed), OBSERVED_LENGTH),
                    tuple(steps),
                    tuple(frames),
                    at=self._recorder.elapsed(),
                    number=len(tally.failures) + 1,
                    recording=self._recorder.kept(recording),
                )
            )

    def _unsettled(self) -> list[str]:
        return [clause for clause in self.clauses if clause not in self._settled]

    def _first_unsettled(self) -> str:
        """Clause that a missing answer or closed connection counts against: the first MUST or SHOULD, else a MAY."""
        candidates = self._unsettled() or self.clauses
        binding = [clause for clause in candidates if self._recorder.book[clause].level is not Level.MAY]
        return (binding or candidates)[0]

    def _key(self, clause: str) -> Key | None:
        """Column of an assertion made in this binding; None if the server is not judged by the clause.

        A STOMP clause asserted on a queue's session belongs to the STOMP column of that session. A clause on
        publishing belongs to queue-stomp if the server publishes over STOMP only.
        """
        if clause not in self._keys:
            columns = self._recorder.columns.get(clause, ())
            found = (name for name in (self.binding, f"stomp-{self._version}", *columns) if name in columns)
            binding = next(found, None)
            self._keys[clause] = Key(clause, binding) if binding else None
        return self._keys[clause]


def find_failure(error: BaseException) -> Violation | PeerFailure | None:
    """Failure of the peer in an exception that a test raised, or in an exception group of Hypothesis.

    A Violation goes before a PeerFailure. None if the exception holds neither.
    """
    if isinstance(error, Violation | PeerFailure):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = [failure for inner in error.exceptions if (failure := find_failure(inner))]
        return min(found, key=lambda failure: isinstance(failure, PeerFailure), default=None)
    return None
