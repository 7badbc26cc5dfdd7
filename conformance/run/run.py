"""One run of the suite: the target, what is selected, what is recorded, and the result."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from typing import TYPE_CHECKING

from conformance.run.group_clock import ServerClock, clock_of
from conformance.run.scheduling_delay import SchedulingDelay
from conformance.specification.clauses import BINDINGS, EXTENSIONS, Level, with_prefix
from conformance.verdicts.decision import decide
from conformance.verdicts.recorder import Recorder
from conformance.verdicts.verdicts import Key, Result

if TYPE_CHECKING:
    from conformance.run.options import Options
    from conformance.specification.clauses import Book, Clause
    from conformance.targets.target import Target

_RANK = {Level.MUST: 0, Level.SHOULD: 1, Level.MAY: 2}


class NothingSelected(Exception):
    """No clause is left by the options; the message says why."""


class Run:
    """A run against a target that was met. May be used by several threads."""

    def __init__(self, options: Options, target: Target, book: Book) -> None:
        """Raises NothingSelected."""
        self.options = options
        self.target = target
        self.book = book
        self.columns = {clause.id: clause.columns(target.classes, target.extensions) for clause in book}
        self.selected = frozenset(self._select())
        if not self.selected:
            raise NothingSelected(_why_nothing(options, target))
        self.recorder = Recorder(book, self.columns, target.waivers)
        self.interrupted = threading.Event()
        self.clock = clock_of(target, self.interrupted)
        # Where time passes for all groups at once, a test would move that of others.
        self.workers = 1 if isinstance(self.clock, ServerClock) else options.parallel
        """How many tests are performed side by side."""
        self.scheduling_delay = SchedulingDelay()
        self.ended_early = ""
        self.suite_failures: list[str] = []
        self.started = time.time()
        """Seconds since 1970."""
        self.findings: set[str] = set()
        """What the tests found out about the server that lets later ones wait less."""
        self._token = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    def fresh(self, stem: str) -> str:
        """A name that nobody used before: in this run by its number, in others by its token."""
        return f"{stem}-{self._token}-{next(self._numbers)}"

    def bindings_of(self, clauses: tuple[str, ...]) -> list[str]:
        """The bindings in which a test of these clauses runs: where one of them is selected."""
        return [
            binding
            for binding in BINDINGS
            if any(Key(clause, binding) in self.selected for clause in clauses)
        ]

    def end_early(self, why: str) -> None:
        """Say that the run will not come to its end; the first reason counts."""
        self.ended_early = self.ended_early or why
        self.interrupted.set()

    def result(self) -> Result:
        """The verdicts so far."""
        return decide(
            self.book,
            self.selected,
            self.recorder.tallies,
            self.target.waivers,
            ended_early=self.ended_early,
            suite_failed=bool(self.suite_failures),
        )

    def _select(self) -> list[Key]:
        wanted = [clause for clause in self.book if _RANK[clause.level] <= _RANK[self.options.level]]
        if self.options.clauses:
            wanted = with_prefix(wanted, self.options.clauses)
        return [
            Key(clause.id, binding)
            for clause in wanted
            for binding in self.columns[clause.id]
            if self._is_asked_for(clause, binding)
        ]

    def _is_asked_for(self, clause: Clause, binding: str) -> bool:
        """Whether the classes of the options want the clause there: bindings narrow, extensions narrow further."""
        bindings = [name for name in self.options.classes if name in BINDINGS]
        extensions = [name for name in self.options.classes if name in EXTENSIONS]
        return (not bindings or binding in bindings) and (
            not extensions or any(name in clause.classes for name in extensions)
        )


def _why_nothing(options: Options, target: Target) -> str:
    claimed = ", ".join(sorted(target.classes)) or "none"
    asked = [
        *(f"--class {name}" for name in options.classes),
        *(f"--clause {name}" for name in options.clauses),
    ]
    if options.level is not Level.MAY:
        asked.append(f"--level {options.level.value.lower()}")
    return (
        f"No clause is selected by {' '.join(asked) or 'these options'}: the target has the classes {claimed}. "
        "`--list-clauses` shows all ids."
    )
