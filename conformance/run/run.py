"""One run of the suite: target, selected clauses, recorded assertions, result."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from conformance.run.faults import HISTORY_CLAUSES
from conformance.run.group_clock import ServerClock, clock_of
from conformance.run.hiding import target_without_secrets, without_secrets
from conformance.run.parallelism import parallel_tests
from conformance.run.presence import Presence
from conformance.run.scheduling_delay import SchedulingDelay
from conformance.specification.clauses import BINDINGS, EXTENSIONS, Level, with_prefix
from conformance.verdicts.decision import decide
from conformance.verdicts.recorder import Recorder
from conformance.verdicts.verdicts import Key, Result
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.run.faults import FaultRecord
    from conformance.run.options import Options
    from conformance.specification.clauses import Book, Clause
    from conformance.targets.target import Target
    from conformance.wire.acknowledged_publishing import Spelling

_RANK = {Level.MUST: 0, Level.SHOULD: 1, Level.MAY: 2}


class RecordedHistory(NamedTuple):
    """A history of one test in one binding, as the lines of a file (spec/histories.md)."""

    test: str
    binding: str
    lines: tuple[str, ...]


class NothingSelected(Exception):
    """The options select no clause; the message says why."""


class Run:
    """A run against a probed target. Thread-safe."""

    def __init__(
        self, options: Options, target: Target, book: Book, interrupted: threading.Event | None = None
    ) -> None:
        """`interrupted` is set when the run ends early. Raises NothingSelected if the options select no clause."""
        self.options = options
        self.target = target
        self.book = book
        self.columns = {clause.id: clause.columns(target.classes, target.extensions) for clause in book}
        self.selected = frozenset(self._select())
        self.excluded = frozenset(clause.id for clause in with_prefix(book, options.excluded))
        """Clauses that the user left out, with all tests that name one of them."""
        if {key.clause for key in self.selected} <= self.excluded:
            self.selected = frozenset()
        if not self.selected:
            raise NothingSelected(_why_nothing(options, target))
        self.recorder = Recorder(book, self.columns, target.waivers)
        self.interrupted = interrupted or threading.Event()
        self.clock = clock_of(target, self.interrupted)
        self.has_one_clock = isinstance(self.clock, ServerClock)
        """True if a test that moves the clock moves time for concurrent tests."""
        self.workers = 1 if self.has_one_clock else parallel_tests(options.parallel, target.round_trip)
        """Number of concurrent tests."""
        self.presence = Presence(target, {key.binding for key in self.selected})
        self.scheduling_delay = SchedulingDelay()
        self.ended_early = ""
        self.suite_failures: list[str] = []
        self.warnings: list[str] = []
        """Sentences about this machine that a user should know; they change no verdict."""
        self.started = time.time()
        """Seconds since 1970."""
        self.durations: dict[tuple[str, str], float] = {}
        """Seconds that each test took, by its name and binding."""
        self.histories: list[RecordedHistory] = []
        """Histories of tests, if the run writes a report."""
        self.fault_records: list[FaultRecord] = []
        """Faults that the run injected."""
        self.findings: set[str] = set()
        """Findings about this server, as words; later tests use them to skip waits."""
        self._publish_spelling: Spelling | PeerFailure | None = None
        self._finding = threading.Lock()
        self.token = secrets.token_hex(4)
        """Part of every fresh name, in hexadecimal digits."""
        self._numbers = itertools.count(1)

    def fresh(self, stem: str) -> str:
        """Unused name: `stem`, a token of the run, a number."""
        return f"{stem}-{self.token}-{next(self._numbers)}"

    def publish_spelling(self, find: Callable[[], Spelling], is_certain: Callable[[], bool]) -> Spelling:
        """The spelling of publishing that the server serves (class stomp-publish).

        `find` is called once in a run; PeerFailure that it raises is raised again for every later caller. While
        `is_certain` returns False, such a failure may be one of this caller only, and is not kept.
        """
        with self._finding:
            if self._publish_spelling is None:
                try:
                    self._publish_spelling = find()
                except PeerFailure as failure:
                    if not is_certain():
                        raise
                    self._publish_spelling = failure
            found = self._publish_spelling
        if isinstance(found, PeerFailure):
            raise PeerFailure(found.expected, found.observed, found.promise)
        return found

    def bindings_of(self, clauses: tuple[str, ...]) -> list[str]:
        """Bindings in which at least one of the clauses is selected and none is excluded."""
        if not self.excluded.isdisjoint(clauses):
            return []
        return [
            binding
            for binding in BINDINGS
            if any(Key(clause, binding) in self.selected for clause in clauses)
        ]

    def leave_out(self, clauses: tuple[str, ...]) -> None:
        """Record, for a test that names an excluded clause, why its other clauses may not be judged."""
        if excluded := [clause for clause in clauses if clause in self.excluded]:
            reason = f"a test of it is left out with {', '.join(excluded)} (--exclude)"
            for key in self.selected:
                if key.clause in clauses and reason not in (skips := self.recorder.tally(key).skips):
                    skips.append(reason)

    def end_early(self, why: str) -> None:
        """End the run early; the first reason given is kept."""
        self.ended_early = self.ended_early or why
        self.interrupted.set()
        self.presence.stop()
        for node in self.target.nodes:
            if node.access.admission is not None:
                node.access.admission.stop()

    def result(self) -> Result:
        """Verdicts on what is recorded so far, without the secrets of the target."""
        result = decide(
            self.book,
            self.selected,
            self.recorder.tallies,
            self.target.waivers,
            ended_early=self.ended_early,
            suite_failed=bool(self.suite_failures),
            excluded=self.excluded,
            denied={clause.id for clause in with_prefix(self.book, self.target.denied_clauses)},
            stale_counts=self.options.strict_waivers,
        )
        return without_secrets(result, self.target.secrets)

    @property
    def shown_target(self) -> Target:
        """The target as reports show it."""
        return target_without_secrets(self.target)

    def warn(self, text: str) -> None:
        """Note what a user should know, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def fail_suite(self, why: str) -> None:
        """Note a failure of the suite itself, outside of all tests."""
        self.suite_failures.append(self.target.secrets.text(why))

    def _select(self) -> list[Key]:
        wanted = [clause for clause in self.book if _RANK[clause.level] <= _RANK[self.options.level]]
        if self.options.clauses:
            wanted = with_prefix(wanted, self.options.clauses)
        if self.options.faults:
            wanted = [clause for clause in wanted if clause.id in HISTORY_CLAUSES]
        return [
            Key(clause.id, binding)
            for clause in wanted
            for binding in self.columns[clause.id]
            if self._is_asked_for(clause, binding)
        ]

    def _is_asked_for(self, clause: Clause, binding: str) -> bool:
        """True if the options' bindings and extensions, where given, include the clause in this binding.

        Beside queue-http, http-publish adds to what is judged, as it adds to the class (spec/README.md).
        """
        bindings = [name for name in self.options.classes if name in BINDINGS]
        adding = {"http-publish"} if "queue-http" in bindings else set[str]()
        extensions = [name for name in self.options.classes if name in EXTENSIONS and name not in adding]
        return (not bindings or binding in bindings) and (
            not extensions or any(name in clause.classes for name in extensions)
        )


def _why_nothing(options: Options, target: Target) -> str:
    claimed = ", ".join(sorted(target.classes)) or "none"
    asked = [
        *(f"--class {name}" for name in options.classes),
        *(f"--clause {name}" for name in options.clauses),
        *(f"--exclude {name}" for name in options.excluded),
    ]
    if options.faults:
        asked.append(f"--fault (which judges {', '.join(HISTORY_CLAUSES)})")
    if options.level is not Level.MAY:
        asked.append(f"--level {options.level.value.lower()}")
    return (
        f"No clause is selected by {' '.join(asked) or 'these options'}: the target has the classes {claimed}. "
        "`--list-clauses` shows all ids."
    )
