"""From what was recorded to verdicts and an exit status. Pure: no test runs here, and nothing is printed.

A verdict belongs to a clause in a binding. What decides, first match first:

1. a failed assertion: `fail` for a MUST, `deviation` for a SHOULD;
2. the suite's own mistake: `error`;
3. a test of the clause that the run never came to, because it was interrupted or the server went away:
   `inconclusive`;
4. an assertion that held: `pass`; for a MAY `observed`, as is what was recorded of it without asserting;
5. a test that ended early at another clause: `blocked` by that one;
6. a reason why this server gives no way to judge it: `skipped`;
7. nothing of all that: `inconclusive`.

A `fail`, `deviation` or empty `inconclusive` of a clause whose roots (`Depends on`) do not hold becomes `blocked`:
the root is what the server is told, its followers are not counted against it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from conformance.specification.clauses import CLASSES, EXTENSIONS, QUEUE_BINDINGS, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from conformance.specification.clauses import Book, Clause
    from conformance.wire.trace import TraceEntry


class Kind(enum.Enum):
    """What a verdict can say."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    FAIL = "fail"
    DEVIATION = "deviation"
    OBSERVED = "observed"
    BLOCKED = "blocked"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    ERROR = "error"


#: The kinds that say something about the server.
JUDGED = frozenset({Kind.PASS, Kind.FAIL, Kind.DEVIATION, Kind.OBSERVED})
#: The kinds that break what the clause asks.
BROKEN = frozenset({Kind.FAIL, Kind.DEVIATION})


class Exit(enum.IntEnum):
    """The exit statuses of the command line."""

    CONFORMING = 0
    NOT_CONFORMING = 1
    USAGE = 2
    SUITE_FAILED = 3
    INCONCLUSIVE = 4


class Key(NamedTuple):
    """What a verdict is about."""

    clause: str
    binding: str


@dataclass(frozen=True)
class Failure:
    """One failed assertion with its evidence; `at` is in seconds since the start of the run."""

    clause: str
    binding: str
    test: str
    expected: str
    observed: str
    steps: tuple[str, ...] = ()
    frames: tuple[TraceEntry, ...] = ()
    at: float = 0.0


@dataclass(frozen=True)
class Stop:
    """A test that named the clause and ended without asserting it; `by` is the clause that failed before, if any."""

    test: str
    by: str | None


@dataclass
class Tally:
    """All that was recorded about one clause in one binding."""

    tests: set[str] = field(default_factory=set)
    held: int = 0
    broken: int = 0
    failures: list[Failure] = field(default_factory=list)
    observations: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    never_run: list[str] = field(default_factory=list)

    @property
    def asserted(self) -> int:
        """How often the clause was asserted."""
        return self.held + self.broken


@dataclass(frozen=True)
class Waiver:
    """A known deviation of a target: why it is not counted, and in which bindings (empty: in all).

    With `goes_on` a test goes on after it, as if the clause held: for what is answered wrongly, and done all the same.
    """

    clause: str
    reason: str
    bindings: tuple[str, ...] = ()
    goes_on: bool = False

    def covers(self, key: Key) -> bool:
        """Whether it speaks of this clause in this binding."""
        return key.clause == self.clause and (not self.bindings or key.binding in self.bindings)


@dataclass(frozen=True)
class Verdict:
    """What the run says about one clause in one binding.

    `reason` is empty for a pass. `roots` are the clauses that a blocked one waits for. `waiver` is the reason of
    the known deviation, where the target has one and the clause is broken.
    """

    key: Key
    level: Level
    kind: Kind
    reason: str = ""
    roots: tuple[str, ...] = ()
    asserted: int = 0
    waiver: str | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the server is non-conforming by this verdict alone."""
        return self.kind is Kind.FAIL and self.waiver is None


@dataclass(frozen=True)
class Result:
    """The verdicts in the order of the text, waivers that were not needed, and what became of the run."""

    verdicts: tuple[Verdict, ...]
    stale: tuple[Waiver, ...]
    exit: Exit
    ended_early: str = ""

    def of(self, *kinds: Kind) -> list[Verdict]:
        """The verdicts of these kinds."""
        return [verdict for verdict in self.verdicts if verdict.kind in kinds]


def decide(
    book: Book,
    selected: Collection[Key],
    tallies: Mapping[Key, Tally],
    waivers: Sequence[Waiver] = (),
    *,
    ended_early: str = "",
    suite_failed: bool = False,
) -> Result:
    """The verdicts on the selected keys, and on every other one that is broken.

    `ended_early` says why the run did not come to its end; `suite_failed` that something broke outside of all tests.
    """
    empty = Tally()
    tallies = dict(tallies)  # a test that the run doesn't wait for any more may still record
    raw = {
        key: _raw(book[key.clause], tallies.get(key, empty))
        for key in _in_order(
            book, {*selected, *(key for key, tally in tallies.items() if _counts_anyway(tally))}
        )
    }
    verdicts = [_waived(_blocked(book, key, raw, tallies.get(key, empty)), waivers) for key in raw]
    stale = tuple(waiver for waiver in waivers if _is_stale(waiver, verdicts))
    status = exit_status(verdicts, ended_early=bool(ended_early), suite_failed=suite_failed)
    return Result(tuple(verdicts), stale, status, ended_early)


def exit_status(
    verdicts: Collection[Verdict], *, ended_early: bool = False, suite_failed: bool = False
) -> Exit:
    """The exit status: a proven failure outranks a broken suite, and that an unfinished run."""
    if any(verdict.counts for verdict in verdicts):
        return Exit.NOT_CONFORMING
    if suite_failed or any(verdict.kind is Kind.ERROR for verdict in verdicts):
        return Exit.SUITE_FAILED
    if ended_early or not any(verdict.kind in JUDGED for verdict in verdicts):
        return Exit.INCONCLUSIVE
    return Exit.CONFORMING


def unjudged(verdicts: Collection[Verdict], level: Level = Level.MUST) -> list[Verdict]:
    """The verdicts of a level that say nothing about the server."""
    return [verdict for verdict in verdicts if verdict.level is level and verdict.kind not in JUDGED]


def _counts_anyway(tally: Tally) -> bool:
    """A failure counts also where its clause was not asked for: what was asked for could stand on it."""
    return bool(tally.failures or tally.errors)


def _in_order(book: Book, keys: set[Key]) -> list[Key]:
    by_clause: dict[str, list[str]] = {}
    for key in keys:
        by_clause.setdefault(key.clause, []).append(key.binding)
    return [
        Key(clause.id, binding)
        for clause in book
        if clause.id in by_clause
        for binding in sorted(by_clause[clause.id])
    ]


def _raw(clause: Clause, tally: Tally) -> Verdict:
    """The verdict by what was recorded about the clause alone."""
    is_may = clause.level is Level.MAY
    rows: list[tuple[object, Kind, Callable[[], str]]] = [
        (tally.failures, _broken_kind(clause), lambda: tally.failures[0].observed),
        (tally.errors, Kind.ERROR, lambda: tally.errors[0]),
        (tally.never_run, Kind.INCONCLUSIVE, lambda: tally.never_run[0]),
        (is_may and (tally.observations or tally.asserted), Kind.OBSERVED, lambda: _seen(tally)),
        (tally.asserted, Kind.PASS, lambda: ""),
        (_stopper(tally), Kind.BLOCKED, lambda: f"its test ended at {_stopper(tally)}, which failed"),
        (tally.skips, Kind.SKIPPED, lambda: tally.skips[0]),
        (clause.not_judged, Kind.SKIPPED, lambda: f"not judged: {clause.not_judged}"),
        (tally.observations, Kind.INCONCLUSIVE, lambda: f"seen, but not asserted: {_seen(tally)}"),
        (tally.tests, Kind.INCONCLUSIVE, lambda: "its tests ended without asserting it"),
        (True, Kind.INCONCLUSIVE, lambda: "no test names it"),
    ]
    kind, reason = next((kind, reason) for holds, kind, reason in rows if holds)
    stopper = _stopper(tally) if kind is Kind.BLOCKED else None
    return Verdict(
        key=Key(clause.id, ""),
        level=clause.level,
        kind=kind,
        reason=reason(),
        roots=(stopper,) if stopper else (),
        asserted=tally.asserted,
        failures=tuple(tally.failures),
    )


def _broken_kind(clause: Clause) -> Kind:
    return {Level.MUST: Kind.FAIL, Level.SHOULD: Kind.DEVIATION, Level.MAY: Kind.OBSERVED}[clause.level]


def _seen(tally: Tally) -> str:
    return "; ".join(dict.fromkeys(tally.observations))


def _stopper(tally: Tally) -> str | None:
    return next((stop.by for stop in tally.stops if stop.by), None)


def _blocked(book: Book, key: Key, raw: Mapping[Key, Verdict], tally: Tally) -> Verdict:
    """The verdict in the light of the clauses that this one depends on."""
    verdict = raw[key]
    named = replace(verdict, key=key)
    could_follow = verdict.kind in BROKEN or (verdict.kind is Kind.INCONCLUSIVE and not tally.never_run)
    if not could_follow:
        return named
    ancestors = _ancestors(book, key.clause, key.binding)
    roots = tuple(root for root in ancestors if _does_not_hold(root, key.binding, raw))
    if not roots:
        return named
    reason = f"depends on {', '.join(roots)}, which {'do' if len(roots) > 1 else 'does'} not hold"
    return replace(named, kind=Kind.BLOCKED, reason=reason, roots=roots)


def _ancestors(book: Book, clause: str, binding: str) -> list[str]:
    """What the clause depends on in this binding, roots first.

    A clause of both bindings of the queue names the roots of both; what only the other one has is no excuse here.
    """
    found: dict[str, None] = {}
    for root in book[clause].depends_on:
        columns = set(book[root].columns(CLASSES, EXTENSIONS))
        if binding in QUEUE_BINDINGS and columns <= set(QUEUE_BINDINGS) - {binding}:
            continue
        found.update(dict.fromkeys([*_ancestors(book, root, binding), root]))
    return list(found)


def _does_not_hold(clause: str, binding: str, raw: Mapping[Key, Verdict]) -> bool:
    """In this binding where the clause has a verdict there, else in any."""
    here = raw.get(Key(clause, binding))
    others = [here] if here else [verdict for key, verdict in raw.items() if key.clause == clause]
    return any(verdict.kind in BROKEN for verdict in others)


def _waived(verdict: Verdict, waivers: Sequence[Waiver]) -> Verdict:
    if verdict.kind not in BROKEN:
        return verdict
    reason = next((waiver.reason for waiver in waivers if waiver.covers(verdict.key)), None)
    return replace(verdict, waiver=reason)


def _is_stale(waiver: Waiver, verdicts: Sequence[Verdict]) -> bool:
    """Whether the clause was judged, and everything that the waiver excuses holds."""
    kinds = {verdict.kind for verdict in verdicts if waiver.covers(verdict.key)}
    return Kind.PASS in kinds and kinds <= {Kind.PASS, Kind.OBSERVED, Kind.SKIPPED}
