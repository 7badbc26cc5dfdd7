"""Parts shared by all reports: the closing sentence, counts, and verdicts grouped by clause."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conformance.reporting.octets import one_line, without_passcode
from conformance.specification.clauses import BINDINGS, Level
from conformance.verdicts.verdicts import JUDGED, Exit, Kind
from conformance.wire.cutting import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from conformance.specification.clauses import Book, Clause
    from conformance.verdicts.verdicts import Failure, Result, Verdict

    ReplayCommand = Callable[[Failure], str]

EXIT_NAMES = {
    Exit.CONFORMING: "conforming",
    Exit.NOT_CONFORMING: "not conforming",
    Exit.USAGE: "not judged",
    Exit.SUITE_FAILED: "the suite failed",
    Exit.INCONCLUSIVE: "inconclusive",
}
#: Most ids that a sentence names; it counts the others.
IDS_NAMED = 5


@dataclass(frozen=True)
class Mark:
    """Display of a verdict: a sign, a style of rich, a word."""

    sign: str
    style: str
    word: str


MARKS = {
    Kind.PASS: Mark("✓", "green", "holds"),
    Kind.FAIL: Mark("✗", "bold red", "broken"),
    Kind.DEVIATION: Mark("△", "yellow", "deviation"),
    Kind.OBSERVED: Mark("○", "cyan", "observed"),
    Kind.BLOCKED: Mark("⊘", "magenta", "blocked"),
    Kind.INCONCLUSIVE: Mark("?", "bold", "inconclusive"),
    Kind.SKIPPED: Mark("–", "dim", "skipped"),  # noqa: RUF001  a dash as long as the other signs
    Kind.ERROR: Mark("!", "bold red", "suite error"),
}
WAIVED = Mark("≈", "yellow", "known")
EXCLUDED = Mark("·", "dim", "excluded")
ALL_MARKS = (*MARKS.values(), WAIVED, EXCLUDED)


def plain_command(url: str) -> ReplayCommand:
    """Replay command with the URL and the clause only, for a server that needs no other options."""
    return lambda failure: shlex.join(["python", "-m", "conformance", url, "--clause", failure.clause])


def mark_of(verdict: Verdict) -> Mark:
    """Mark of a verdict; a waived verdict and that on an excluded clause have their own."""
    if verdict.is_excluded:
        return EXCLUDED
    return WAIVED if verdict.waiver is not None else MARKS[verdict.kind]


@dataclass(frozen=True)
class ClauseVerdicts:
    """Verdicts of one clause, one per binding."""

    clause: Clause
    verdicts: tuple[Verdict, ...]

    @property
    def bindings(self) -> str:
        """Names of the bindings, joined by commas."""
        return ", ".join(verdict.key.binding for verdict in self.verdicts)

    @property
    def failures(self) -> list[Failure]:
        """Kept failures, those with the fewest steps first."""
        found = [failure for verdict in self.verdicts for failure in verdict.failures]
        return sorted(found, key=lambda failure: (len(failure.steps), len(failure.frames)))


def grouped(verdicts: Iterable[Verdict], book: Book) -> list[ClauseVerdicts]:
    """Verdicts grouped by clause: roots first, then in the order of the text."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.key.clause, []).append(verdict)
    groups = [ClauseVerdicts(book[clause], tuple(members)) for clause, members in found.items()]
    return sorted(groups, key=lambda group: book.depth(group.clause.id))


def broken(result: Result) -> list[Verdict]:
    """Verdicts that make the server non-conforming."""
    return [verdict for verdict in result.verdicts if verdict.counts]


def by_chapter(result: Result, book: Book) -> dict[str, list[tuple[Clause, dict[str, Verdict]]]]:
    """Clauses of each chapter in the order of the text, with their verdicts by binding."""
    rows: dict[str, dict[str, Verdict]] = {}
    for verdict in result.verdicts:
        rows.setdefault(verdict.key.clause, {})[verdict.key.binding] = verdict
    chapters: dict[str, list[tuple[Clause, dict[str, Verdict]]]] = {}
    for clause, verdicts in rows.items():
        chapters.setdefault(book[clause].chapter, []).append((book[clause], verdicts))
    return chapters


def bindings_of(verdicts: Iterable[Verdict]) -> list[str]:
    """Bindings with a verdict, in the order of the columns."""
    found = {verdict.key.binding for verdict in verdicts}
    return [*(name for name in BINDINGS if name in found), *sorted(found.difference(BINDINGS))]


def mark_counts(verdicts: Iterable[Verdict]) -> list[tuple[Mark, int]]:
    """Number of verdicts per mark, in the order of the legend, without marks that no verdict has."""
    counts = Counter(mark_of(verdict) for verdict in verdicts)
    return [(mark, counts[mark]) for mark in ALL_MARKS if counts[mark]]


def reasons(verdicts: Iterable[Verdict]) -> list[tuple[str, list[str]]]:
    """Reasons with the clauses they apply to, the most frequent first."""
    found: dict[str, dict[str, None]] = {}
    for verdict in verdicts:
        found.setdefault(one_line(verdict.reason) or "no reason given", {})[verdict.key.clause] = None
    return sorted(
        ((reason, list(ids)) for reason, ids in found.items()), key=lambda item: len(item[1]), reverse=True
    )


def first_ids(ids: Sequence[str], most: int = IDS_NAMED) -> str:
    """First ids, and the number of the others."""
    if len(ids) <= most:
        return ", ".join(ids)
    return f"{', '.join(ids[:most])} {ELLIPSIS} and {len(ids) - most} more"


def counted(number: int, singular: str, plural: str = "") -> str:
    """Number with its noun: `1 clause`, `2 clauses`."""
    return f"{number} {singular if number == 1 else plural or f'{singular}s'}"


def closing_sentence(result: Result) -> str:
    """Result of the run in one sentence that ends with the exit status."""
    say = {
        Exit.CONFORMING: _conforming,
        Exit.NOT_CONFORMING: _not_conforming,
        Exit.USAGE: lambda r: f"NOT JUDGED: {_reason_to_end_early(r) or 'nobody answers at the URL'}",
        Exit.SUITE_FAILED: _suite_failed,
        Exit.INCONCLUSIVE: _inconclusive,
    }[result.exit]
    return f"{say(result)} (exit status {int(result.exit)})."


def without_secrets(result: Result, passcode: str | None) -> Result:
    """Result with the target's passcode hidden in its frames."""
    if not passcode:
        return result
    verdicts = tuple(
        replace(
            verdict,
            failures=tuple(
                replace(failure, frames=without_passcode(failure.frames, passcode))
                for failure in verdict.failures
            ),
        )
        for verdict in result.verdicts
    )
    return replace(result, verdicts=verdicts)


def _conforming(result: Result) -> str:
    musts = _ids(result, lambda verdict: verdict.level is Level.MUST and verdict.kind in JUDGED)
    known = _ids(result, lambda verdict: verdict.kind is Kind.FAIL)
    deviations = _ids(result, lambda verdict: verdict.kind is Kind.DEVIATION and verdict.waiver is None)
    open_musts = _unjudged_musts(result)
    holding = _holding_musts(result)
    parts = []
    if not musts:
        parts.append("no requirement was among what was judged")
    elif holding:
        all_that = "every" if not known else "but for known deviations every"
        parts.append(f"{all_that} requirement that was judged holds ({len(holding)})")
    if known:
        parts.append(f"{counted(len(known), 'requirement is', 'requirements are')} broken as is known")
    if deviations:
        parts.append(f"{counted(len(deviations), 'recommendation is', 'recommendations are')} not followed")
    if open_musts:
        parts.append(f"{counted(len(open_musts), 'requirement')} could not be judged")
    parts += _excluded(result)
    return f"CONFORMING: {', '.join(parts)}"


def _not_conforming(result: Result) -> str:
    ids = _ids(result, lambda verdict: verdict.counts)
    blocked = _ids(result, lambda verdict: verdict.kind is Kind.BLOCKED)
    errors = _ids(result, lambda verdict: verdict.kind is Kind.ERROR)
    parts = [f"{counted(len(ids), 'requirement')} broken ({first_ids(ids)})"] if ids else []
    if result.stale_counts and result.stale:
        stale = list(dict.fromkeys(waiver.clause for waiver in result.stale))
        deviates = counted(len(stale), "known deviation deviates", "known deviations deviate")
        parts.append(f"{deviates} no more ({first_ids(stale)})")
    if blocked:
        parts.append(f"{counted(len(blocked), 'clause')} blocked by what is broken")
    if errors:
        parts.append(f"{counted(len(errors), 'clause')} not judged for mistakes of the suite")
    parts.append(counted(len(_holding_musts(result)), "requirement holds", "requirements hold"))
    parts += _excluded(result)
    if early := _reason_to_end_early(result):
        parts.append(f"and the run ended early: {early}")
    return f"NOT CONFORMING: {', '.join(parts)}"


def _suite_failed(result: Result) -> str:
    ids = _ids(result, lambda verdict: verdict.kind is Kind.ERROR)
    said = ": a mistake of its own"
    if ids:
        said += f" kept {counted(len(ids), 'clause')} from being judged ({first_ids(ids)})"
    else:
        said += " outside of all tests"
    if early := _reason_to_end_early(result):
        said += f", and the run ended early: {early}"
    return f"THE SUITE FAILED{said}, which says nothing about the server"


def _inconclusive(result: Result) -> str:
    if early := _reason_to_end_early(result):
        judged = _ids(result, lambda verdict: verdict.kind in JUDGED)
        return f"INCONCLUSIVE: {early}, after {counted(len(judged), 'clause was', 'clauses were')} judged"
    if not result.verdicts:
        return "INCONCLUSIVE: no clause was selected"
    if any(verdict.kind in JUDGED for verdict in result.verdicts) and result.hardly_judged:
        said = ", ".join(
            f"{share.unjudged} of {share.claimed} of {share.name}" for share in result.hardly_judged
        )
        known = _ids(result, lambda verdict: verdict.waiver is not None)
        behind = f"; known deviations hide what depends on them ({first_ids(known)})" if known else ""
        return f"INCONCLUSIVE: most requirements of a claimed class could not be judged: {said}{behind}"
    selected = _ids(result, lambda verdict: True)
    return f"INCONCLUSIVE: {counted(len(selected), 'clause')} selected, and none could be judged"


def _excluded(result: Result) -> list[str]:
    ids = _ids(result, lambda verdict: verdict.is_excluded)
    return [f"{counted(len(ids), 'clause was', 'clauses were')} excluded"] if ids else []


def _reason_to_end_early(result: Result) -> str:
    return one_line(result.ended_early).rstrip(".")


def _ids(result: Result, holds: Callable[[Verdict], bool]) -> list[str]:
    return list(dict.fromkeys(verdict.key.clause for verdict in result.verdicts if holds(verdict)))


def _holding_musts(result: Result) -> list[str]:
    """MUST clauses that are judged in some binding and broken in none."""
    judged = _ids(result, lambda verdict: verdict.level is Level.MUST and verdict.kind in JUDGED)
    failed = set(_ids(result, lambda verdict: verdict.kind is Kind.FAIL))
    return [clause for clause in judged if clause not in failed]


def _unjudged_musts(result: Result) -> list[str]:
    """MUST clauses that are judged in no binding."""
    judged: Collection[str] = set(_ids(result, lambda verdict: verdict.kind in JUDGED))
    open_ones = _ids(
        result,
        lambda verdict: (
            verdict.level is Level.MUST and verdict.kind not in JUDGED and not verdict.is_excluded
        ),
    )
    return [clause for clause in open_ones if clause not in judged]
