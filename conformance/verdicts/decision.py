"""Verdicts and exit status decided from the tallies of a run. Pure: runs no test and prints nothing.

A verdict belongs to a clause in a binding. The first rule that applies decides it:

1. a failed assertion: `fail` for a MUST, `deviation` for a SHOULD;
2. a mistake of the suite: `error`;
3. a test of the clause that never ran, because the run was interrupted or the server went away: `inconclusive`;
4. an assertion that held: `pass`; for a MAY `observed`, also where something was recorded without an assertion;
5. a test that ended early at another clause: `blocked` by that clause;
6. a reason why the clause can't be judged on this server: `skipped`;
7. otherwise: `inconclusive`.

A `fail`, `deviation` or empty `inconclusive` becomes `blocked` if a root of the clause (`Depends on`) does not hold:
only the root counts against the server, not the clauses that follow from it.

A clause that the user excluded is `skipped`, whatever was recorded about it.

A waiver excuses a broken clause, not the clauses behind it: these were not judged. Where that is true of more than half
of a claimed class's requirements, the run is inconclusive.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.specification.clauses import CLASSES, EXTENSIONS, QUEUE_BINDINGS, VERSION_BINDINGS, Level
from conformance.verdicts.verdicts import BROKEN, JUDGED, Exit, Key, Kind, Result, Share, Tally, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from conformance.specification.clauses import Book, Clause
    from conformance.verdicts.verdicts import Waiver


def decide(
    book: Book,
    selected: Collection[Key],
    tallies: Mapping[Key, Tally],
    waivers: Sequence[Waiver] = (),
    *,
    ended_early: str = "",
    suite_failed: bool = False,
    excluded: Collection[str] = frozenset(),
    denied: Collection[str] = frozenset(),
    stale_counts: bool = False,
) -> Result:
    """Verdicts on the selected keys, and on all other keys with a failure or an error.

    `ended_early` is the reason why the run did not reach its end; `suite_failed` is true if the suite failed outside of
    all tests. `excluded` are the clauses that the user left out, `denied` those of features that the target's facts
    deny. `stale_counts` makes a stale waiver an error.
    """
    empty = Tally()
    tallies = dict(tallies)  # a test that the run has given up may still record
    own = {
        key: _own_verdict(book[key.clause], tallies.get(key, empty))
        for key in _in_order(
            book, {*selected, *(key for key, tally in tallies.items() if _is_always_reported(tally))}
        )
    }
    own |= {key: _excluded(book[key.clause]) for key in own if key.clause in excluded}
    verdicts = [_waived(_blocked_by_roots(book, key, own, tallies.get(key, empty)), waivers) for key in own]
    stale = tuple(waiver for waiver in waivers if _is_stale(waiver, verdicts))
    hardly_judged = _hardly_judged(book, [v for v in verdicts if v.key in selected], denied)
    status = exit_status(
        verdicts,
        ended_early=bool(ended_early),
        suite_failed=suite_failed,
        hardly_judged=bool(hardly_judged),
        outdated=stale_counts and bool(stale),
    )
    return Result(tuple(verdicts), stale, status, ended_early, hardly_judged, stale_counts)


def exit_status(
    verdicts: Collection[Verdict],
    *,
    ended_early: bool = False,
    suite_failed: bool = False,
    hardly_judged: bool = False,
    outdated: bool = False,
) -> Exit:
    """Exit status: a failed MUST outranks a failure of the suite, which outranks an unfinished run.

    `outdated` is true if a waiver is stale and that is an error, `hardly_judged` if too little of a claimed class was
    judged.
    """
    if any(verdict.counts for verdict in verdicts):
        return Exit.NOT_CONFORMING
    if suite_failed or any(verdict.kind is Kind.ERROR for verdict in verdicts):
        return Exit.SUITE_FAILED
    if outdated:
        return Exit.NOT_CONFORMING
    if ended_early or hardly_judged or not any(verdict.kind in JUDGED for verdict in verdicts):
        return Exit.INCONCLUSIVE
    return Exit.CONFORMING


def unjudged(verdicts: Collection[Verdict], level: Level = Level.MUST) -> list[Verdict]:
    """Verdicts of a level that say nothing about the server."""
    return [verdict for verdict in verdicts if verdict.level is level and verdict.kind not in JUDGED]


def _hardly_judged(book: Book, verdicts: Sequence[Verdict], denied: Collection[str]) -> tuple[Share, ...]:
    """Classes of which more than half of the requirements could not be judged.

    A skipped requirement does not count: the text, the target's facts or the user exclude it. Nor does an unjudged one
    of a denied feature, or one that only such clauses block.
    """
    claimed: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.level is not Level.MUST or verdict.kind is Kind.SKIPPED or _is_denied(verdict, denied):
            continue
        extensions = [name for name in book[verdict.key.clause].classes if name in EXTENSIONS]
        for name in (verdict.key.binding, *extensions):
            claimed.setdefault(name, []).append(verdict)
    shares = (
        Share(name, sum(verdict.kind not in JUDGED for verdict in found), len(found))
        for name, found in claimed.items()
    )
    return tuple(share for share in shares if 2 * share.unjudged > share.claimed)


def _is_denied(verdict: Verdict, denied: Collection[str]) -> bool:
    if verdict.kind in JUDGED:
        return False
    return verdict.key.clause in denied or (bool(verdict.roots) and set(verdict.roots) <= set(denied))


def _excluded(clause: Clause) -> Verdict:
    return Verdict(
        key=Key(clause.id, ""),
        level=clause.level,
        kind=Kind.SKIPPED,
        reason="excluded by the user",
        is_excluded=True,
    )


def _is_always_reported(tally: Tally) -> bool:
    """True if the clause gets a verdict even when it is not selected: a selected clause may depend on it."""
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


def _own_verdict(clause: Clause, tally: Tally) -> Verdict:
    """Verdict from the record of the clause alone, without its roots."""
    is_may = clause.level is Level.MAY
    rows: list[tuple[object, Kind, Callable[[], str]]] = [
        (tally.failures, _broken_kind(clause), lambda: tally.failures[0].observed),
        (tally.errors, Kind.ERROR, lambda: tally.errors[0]),
        (tally.never_run, Kind.INCONCLUSIVE, lambda: tally.never_run[0]),
        (is_may and (tally.observations or tally.asserted), Kind.OBSERVED, lambda: _observed_text(tally)),
        (tally.asserted, Kind.PASS, lambda: ""),
        (_stopped_by(tally), Kind.BLOCKED, lambda: f"its test ended at {_stopped_by(tally)}, which failed"),
        (tally.skips, Kind.SKIPPED, lambda: tally.skips[0]),
        (clause.not_judged, Kind.SKIPPED, lambda: f"not judged: {clause.not_judged}"),
        (tally.observations, Kind.INCONCLUSIVE, lambda: f"seen, but not asserted: {_observed_text(tally)}"),
        (tally.tests, Kind.INCONCLUSIVE, lambda: "its tests ended without asserting it"),
        (True, Kind.INCONCLUSIVE, lambda: "no test names it"),
    ]
    kind, reason = next((kind, reason) for holds, kind, reason in rows if holds)
    stopped_by = _stopped_by(tally) if kind is Kind.BLOCKED else None
    return Verdict(
        key=Key(clause.id, ""),
        level=clause.level,
        kind=kind,
        reason=reason(),
        roots=(stopped_by,) if stopped_by else (),
        asserted=tally.asserted,
        failures=tuple(tally.failures),
    )


def _broken_kind(clause: Clause) -> Kind:
    return {Level.MUST: Kind.FAIL, Level.SHOULD: Kind.DEVIATION, Level.MAY: Kind.OBSERVED}[clause.level]


def _observed_text(tally: Tally) -> str:
    return "; ".join(dict.fromkeys(tally.observations))


def _stopped_by(tally: Tally) -> str | None:
    return next((stop.by for stop in tally.stops if stop.by), None)


def _blocked_by_roots(book: Book, key: Key, own: Mapping[Key, Verdict], tally: Tally) -> Verdict:
    """Verdict on the key, blocked if a clause that it depends on is broken."""
    verdict = own[key]
    named = replace(verdict, key=key)
    could_follow = verdict.kind in BROKEN or (verdict.kind is Kind.INCONCLUSIVE and not tally.never_run)
    if not could_follow:
        return named
    ancestors = _ancestors(book, key.clause, key.binding)
    roots = tuple(root for root in ancestors if _is_broken(root, key.binding, own))
    if not roots:
        return named
    reason = f"depends on {', '.join(roots)}, which {'do' if len(roots) > 1 else 'does'} not hold"
    return replace(named, kind=Kind.BLOCKED, reason=reason, roots=roots)


def _ancestors(book: Book, clause: str, binding: str) -> list[str]:
    """Clauses that this one depends on in this binding, roots first.

    A clause of both queue bindings, or of several versions of STOMP, names the roots of all; a root that only the
    others have doesn't block here.
    """
    found: dict[str, None] = {}
    for root in book[clause].depends_on:
        columns = set(book[root].columns(CLASSES, EXTENSIONS))
        if any(
            binding in each and columns <= {*each} - {binding} for each in (QUEUE_BINDINGS, VERSION_BINDINGS)
        ):
            continue
        found.update(dict.fromkeys([*_ancestors(book, root, binding), root]))
    return list(found)


def _is_broken(clause: str, binding: str, own: Mapping[Key, Verdict]) -> bool:
    """True if the clause is broken in this binding or, without a verdict there, in any."""
    here = own.get(Key(clause, binding))
    others = [here] if here else [verdict for key, verdict in own.items() if key.clause == clause]
    return any(verdict.kind in BROKEN for verdict in others)


def _waived(verdict: Verdict, waivers: Sequence[Waiver]) -> Verdict:
    if verdict.kind not in BROKEN:
        return verdict
    reason = next((waiver.reason for waiver in waivers if waiver.covers(verdict.key)), None)
    return replace(verdict, waiver=reason)


def _is_stale(waiver: Waiver, verdicts: Sequence[Verdict]) -> bool:
    """True if the clause passed, and failed in no binding of the waiver."""
    kinds = {verdict.kind for verdict in verdicts if waiver.covers(verdict.key)}
    return Kind.PASS in kinds and kinds <= {Kind.PASS, Kind.OBSERVED, Kind.SKIPPED}
