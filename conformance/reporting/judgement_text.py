"""Judgement of histories as text: a table of promises, and the anomalies with the events that prove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.history.events import NEVER
from conformance.history.file_encoding import outcome_of
from conformance.history.judgement import Verdict
from conformance.reporting.octets import one_line
from conformance.reporting.summary import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conformance.history.events import Event
    from conformance.history.judgement import CheckerResult, FoundAnomaly, Judgement, PromiseResult

#: Anomalies of one kind that are shown with their events.
SHOWN_PER_KIND = 2
#: Events of the smallest history that are shown.
SHOWN_EVENTS = 40
_WIDTH = 35


def lines_of(judgement: Judgement) -> Iterator[str]:
    """Lines about one history, without control characters."""
    file = judgement.file
    system = " ".join(filter(None, (file.facts.name, file.facts.version)))
    title = "; ".join(filter(None, (file.facts.title, system)))
    yield f"{one_line(file.name)}: {counted(file.length, 'event')}{f' ({one_line(title)})' if title else ''}"
    yield ""
    for result in judgement.promises:
        yield f"  {promise_line(result)}"
    missing = list(missing_lines(judgement.promises))
    if missing:
        yield ""
        yield from (f"  {line}" for line in missing)
    for result in judgement.promises:
        for found in result.results:
            if found.found:
                yield ""
                yield from _anomalies(result, found)
    yield ""


def promise_line(result: PromiseResult) -> str:
    """Verdict, name and what there is to say of one promise, on one line."""
    return f"{word_of(result):<21}{result.promise.name:<{_WIDTH}} {note_of(result)}".rstrip()


def word_of(result: PromiseResult) -> str:
    """The verdict in words."""
    if result.verdict is Verdict.BROKEN and not result.promised:
        return "BROKEN, not promised"
    return "BROKEN" if result.verdict is Verdict.BROKEN else result.verdict.value


def note_of(result: PromiseResult) -> str:
    """Kinds of anomalies of a broken promise; how many checkers could judge a promise that is kept."""
    if result.verdict is Verdict.BROKEN:
        kinds = [
            f"{one.name}{f' ({one.count})' if one.count > 1 else ''}" for one in result.results if one.found
        ]
        return ", ".join(kinds)
    judged = sum(one.verdict is Verdict.KEPT for one in result.results)
    if result.verdict is Verdict.KEPT and judged < len(result.results):
        return f"by {judged} of {counted(len(result.results), 'checker')}"
    return ""


def missing_lines(results: Iterable[PromiseResult]) -> Iterator[str]:
    """The checkers that could not judge, by what they need."""
    by_needs: dict[tuple[str, ...], list[str]] = {}
    for result in results:
        for one in result.results:
            if one.verdict is Verdict.NOT_JUDGED:
                by_needs.setdefault(one.missing, []).append(one.name)
    for needs, names in by_needs.items():
        yield f"not judged: needs {', '.join(needs)}: {', '.join(names)}"


def event_line(event: Event) -> str:
    """One event: its times in seconds, its process, the operation, the outcome."""
    ended = f"{event.completed:.3f}" if event.completed < NEVER else "?"
    return one_line(
        f"{event.invoked:.3f}…{ended} {event.process}: {event.description()} → {outcome_of(event)}"
    )


def _anomalies(result: PromiseResult, found: CheckerResult) -> Iterator[str]:
    clause = found.found[0].anomaly.clause
    yield f"{found.name} ({clause}), against the promise {result.promise.name}: {result.promise.sentence}"
    for one in found.found[:SHOWN_PER_KIND]:
        yield f"  {one_line(one.anomaly.message)}"
        yield from event_lines(one)
    if found.count > SHOWN_PER_KIND:
        yield f"  … and {found.count - SHOWN_PER_KIND} more of this kind"


def event_lines(found: FoundAnomaly) -> Iterator[str]:
    """The smallest history that shows an anomaly, the events of its proof marked; else the proof alone."""
    events = found.history or found.anomaly.events
    proof = {id(event) for event in found.anomaly.events}
    for event in shortened(events):
        if isinstance(event, str):
            yield f"      {event}"
        else:
            mark = ">" if id(event) in proof else " "
            yield f"    {mark} {event_line(event)}"


def shortened(events: Sequence[Event]) -> Iterable[Event | str]:
    """At most `SHOWN_EVENTS` of the events, and a line that counts the others."""
    if len(events) <= SHOWN_EVENTS:
        return events
    half = SHOWN_EVENTS // 2
    return [*events[:half], f"… {counted(len(events) - 2 * half, 'event')} …", *events[-half:]]
