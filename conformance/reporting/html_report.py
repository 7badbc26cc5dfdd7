"""Report of a run as one self-contained HTML page, without external resources, and without scripts but for pictures."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING

from conformance.history.files import read_stream
from conformance.history.judgement import judge
from conformance.reporting.failure_files import file_name
from conformance.reporting.folding import around, shown
from conformance.reporting.history_picture import SCRIPT, picture
from conformance.reporting.history_picture import STYLE as PICTURE_STYLE
from conformance.reporting.octets import entry_lines, one_line, printable
from conformance.reporting.page_style import STYLE
from conformance.reporting.summary import (
    bindings_of,
    broken,
    by_chapter,
    closing_sentence,
    counted,
    grouped,
    mark_counts,
    mark_of,
    plain_command,
    reasons,
    without_secrets,
)
from conformance.verdicts.verdicts import Exit, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conformance.reporting.plan import Meta
    from conformance.reporting.summary import ClauseVerdicts, Mark, ReplayCommand
    from conformance.specification.clauses import Book, Clause
    from conformance.targets.target import Target
    from conformance.verdicts.verdicts import Failure, Result, Verdict
    from conformance.wire.trace import TraceEntry

#: Number of broken clauses whose evidence is unfolded at first.
UNFOLDED = 5
#: Kinds whose verdicts have a section of their own.
_WITH_SECTION = (Kind.FAIL, Kind.DEVIATION, Kind.ERROR, Kind.OBSERVED)
_CLOSING_CLASSES = {Exit.CONFORMING: "good", Exit.NOT_CONFORMING: "bad"}


def build(
    result: Result, book: Book, target: Target, meta: Meta, *, replay_command: ReplayCommand | None = None
) -> str:
    """HTML of the page. It holds no passcode of the target."""
    result = without_secrets(result, target.passcode)
    replay_command = replay_command or plain_command(target.url)
    title = printable(one_line(target.title or target.name))
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="closing {_CLOSING_CLASSES.get(result.exit, "unclear")}">{_escaped(closing_sentence(result))}</p>',
        _facts(target, meta),
        _counts(result),
        _broken(result, book, replay_command),
        _others(result, book, replay_command),
        _unjudged(result),
        _excluded(result),
        _stale(result),
        _histories(meta),
        _table(result, book),
    ]
    style = f"{STYLE}{PICTURE_STYLE if meta.histories else ''}"
    script = f"<script>\n{SCRIPT}</script>\n" if meta.histories else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}: conformance</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + f"\n</main>\n{script}</body>\n</html>\n"
    )


def write(
    path: Path,
    result: Result,
    book: Book,
    target: Target,
    meta: Meta,
    *,
    replay_command: ReplayCommand | None = None,
) -> None:
    """Write the page. Raises OSError."""
    path.write_text(build(result, book, target, meta, replay_command=replay_command), "utf-8")


def _facts(target: Target, meta: Meta) -> str:
    plan = meta.plan
    facts = {
        "URL": target.url,
        **({"Further nodes": ", ".join(each.url for each in target.others)} if target.others else {}),
        "Classes": ", ".join(plan.bindings) or "none",
        "Extensions": ", ".join(sorted(target.extensions)) or "none",
        "Tests": f"{plan.tests} for {counted(plan.clauses, 'clause')}, {plan.effort} effort"
        + (f", seed {plan.seed}" if plan.seed is not None else ""),
        "Begun": f"{meta.started:%Y-%m-%d %H:%M:%S %Z}, took {meta.duration:.1f} s",
        "Suite": f"stompliance {meta.suite_version}",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{_escaped(text)}</dd>" for name, text in facts.items())
    return f'<dl class="facts">{rows}</dl>'


def _counts(result: Result) -> str:
    marks = mark_counts(result.verdicts)
    if not marks:
        return ""
    head = "".join(f"<th>{_sign(mark)} {escape(mark.word)}</th>" for mark, _ in marks)
    rows = []
    for binding in bindings_of(result.verdicts):
        counts = dict(mark_counts(verdict for verdict in result.verdicts if verdict.key.binding == binding))
        cells = "".join(f"<td>{counts.get(mark, '') or ''}</td>" for mark, _ in marks)
        rows.append(f'<tr><th scope="row">{escape(binding)}</th>{cells}</tr>')
    return (
        f'<table class="counts"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _broken(result: Result, book: Book, replay_command: ReplayCommand) -> str:
    groups = grouped(broken(result), book)
    if not groups:
        return ""
    sections = [
        _section(group, replay_command, unfolded=number < UNFOLDED) for number, group in enumerate(groups)
    ]
    return f"<h2>Broken: {counted(len(groups), 'requirement')}</h2>\n" + "\n".join(sections)


def _others(result: Result, book: Book, replay_command: ReplayCommand) -> str:
    """Folded sections of deviations, known deviations, suite errors and observations, with their evidence."""
    parts = {
        "Recommendations that are not followed": [
            verdict for verdict in result.of(Kind.DEVIATION) if verdict.waiver is None
        ],
        "Known deviations of this target, not counted": [
            verdict for verdict in result.of(Kind.FAIL, Kind.DEVIATION) if verdict.waiver is not None
        ],
        "Mistakes of the suite": result.of(Kind.ERROR),
        "Observed where the text leaves a choice": result.of(Kind.OBSERVED),
    }
    return "\n".join(
        f"<h2>{title}</h2>\n"
        + "\n".join(_section(group, replay_command, unfolded=False) for group in grouped(found, book))
        for title, found in parts.items()
        if found
    )


def _section(group: ClauseVerdicts, replay_command: ReplayCommand, *, unfolded: bool) -> str:
    clause, first = group.clause, group.verdicts[0]
    said = list(dict.fromkeys(verdict.waiver or verdict.reason for verdict in group.verdicts))
    failures = "".join(_failure(failure, replay_command) for failure in group.failures)
    notes = "".join(f'<p class="reason">{_escaped(text)}</p>' for text in said if text)
    place = f"{clause.chapter}, spec/{clause.source}:{clause.line}"
    return (
        f'<details id="{_anchor(first)}"{" open" if unfolded else ""}>'
        f"<summary>{_sign(mark_of(first))} <b>{escape(clause.id)}</b> {clause.key_word}"
        f' <span class="where">{escape(group.bindings)}</span></summary>'
        f"<blockquote>{_escaped(clause.text)}<footer>{escape(place)}</footer></blockquote>"
        f"{notes if first.waiver or not failures else ''}{failures}</details>"
    )


def _anchor(verdict: Verdict) -> str:
    """Id of the element with the evidence of a verdict."""
    known = "-known" if verdict.waiver is not None else ""
    return f"{escape(verdict.key.clause)}-{verdict.kind.value}{known}"


def _failure(failure: Failure, replay_command: ReplayCommand) -> str:
    folds = shown(failure.steps, f"{failure.expected} {failure.observed}")
    steps = "".join(f'<li value="{fold.first}">{_escaped(fold.text)}</li>' for fold in folds)
    first, end = around(failure.frames, failure.observed)
    frames = "".join(_frame(entry) for entry in failure.frames[first:end])
    return (
        '<div class="failure"><dl>'
        f"<dt>Expected</dt><dd><pre>{_escaped(failure.expected)}</pre></dd>"
        f'<dt>Observed</dt><dd><pre class="observed">{_escaped(failure.observed)}</pre></dd>'
        f"<dt>Test</dt><dd>{_escaped(failure.test)} <i>{escape(failure.binding)}</i></dd>"
        f"<dt>Again</dt><dd><code>{_escaped(replay_command(failure))}</code></dd>"
        f"{_recording(failure)}</dl>"
        + (f"<h3>Steps</h3><ol>{steps}</ol>" if steps else "")
        + (
            '<h3>On the wire</h3><table class="wire"><thead><tr><th>s</th><th>connection</th><th></th>'
            f"<th>octets</th></tr></thead><tbody>{frames}</tbody></table>"
            if frames
            else ""
        )
        + "</div>"
    )


def _recording(failure: Failure) -> str:
    """Link to the file that `replay` sends again, if there is one."""
    if failure.recording is None:
        return ""
    name = escape(file_name(failure))
    return f'<dt>Recorded</dt><dd><a href="{name}">{name}</a>, for <code>replay</code></dd>'


def _frame(entry: TraceEntry) -> str:
    origin = ("sent", "the suite") if entry.direction == ">" else ("received", "the server")
    return (
        f'<tr class="{origin[0]}"><td>{entry.at:.3f}</td><td>{escape(entry.connection)}</td>'
        f'<td title="from {origin[1]}">{escape(entry.direction)}</td>'
        f"<td><pre>{_escaped(chr(10).join(entry_lines(entry)))}</pre></td></tr>"
    )


def _unjudged(result: Result) -> str:
    rows = [
        f"<tr><td>{_sign(mark_of(found[0]))} {kind.value}</td><td>{_escaped(reason)}</td><td>{len(ids)}</td>"
        f'<td class="ids">{escape(", ".join(ids))}</td></tr>'
        for kind in (Kind.BLOCKED, Kind.INCONCLUSIVE, Kind.SKIPPED)
        if (found := [verdict for verdict in result.of(kind) if not verdict.is_excluded])
        for reason, ids in reasons(found)
    ]
    if not rows:
        return ""
    return f"<h2>Not judged</h2><table><tbody>{''.join(rows)}</tbody></table>"


def _histories(meta: Meta) -> str:
    """A picture of each history, with its anomalies."""
    parts = []
    for number, history in enumerate(meta.histories):
        file = read_stream(io.BytesIO("\n".join(history.lines).encode()), history.test)
        anomalies = [
            found.anomaly
            for promise in judge(file).promises
            for one in promise.results
            for found in one.found
        ]
        title = f"{history.test.partition('[')[0]} {history.binding}. Choose a mark to read its event."
        opened = " open" if anomalies or not number else ""
        summary = f"{counted(file.length, 'event')}, {counted(len(anomalies), 'anomaly', 'anomalies')}"
        parts.append(
            f"<details{opened}><summary>{escape(history.binding)}: {summary}</summary>"
            f"{picture(file.events, anomalies, title)}</details>"
        )
    faults = "".join(f"<p>{_escaped(record.sentence.capitalize())}.</p>" for record in meta.faults)
    return f"<h2>Histories of concurrent clients</h2>{faults}{''.join(parts)}" if parts else ""


def _excluded(result: Result) -> str:
    ids = list(dict.fromkeys(verdict.key.clause for verdict in result.verdicts if verdict.is_excluded))
    return f'<h2>Excluded by the user</h2><p class="ids">{escape(", ".join(ids))}</p>' if ids else ""


def _stale(result: Result) -> str:
    if not result.stale:
        return ""
    rows = "".join(
        f"<li><b>{escape(waiver.clause)}</b> {escape(', '.join(waiver.bindings))}: {_escaped(waiver.reason)}</li>"
        for waiver in result.stale
    )
    return f"<h2>Known deviations that deviate no more</h2><ul>{rows}</ul>"


def _table(result: Result, book: Book) -> str:
    bindings = bindings_of(result.verdicts)
    heads = "".join(f"<th>{escape(binding)}</th>" for binding in bindings)
    chapters = [
        f'<tbody><tr class="chapter"><th colspan="3">{escape(chapter)}</th>{heads}</tr>'
        + "".join(_row(clause, verdicts, bindings) for clause, verdicts in rows)
        + "</tbody>"
        for chapter, rows in by_chapter(result, book).items()
    ]
    return f'<h2>All clauses</h2><table class="clauses">{"".join(chapters)}</table>' if chapters else ""


def _row(clause: Clause, verdicts: dict[str, Verdict], bindings: Sequence[str]) -> str:
    cells = "".join(_cell(verdicts.get(binding)) for binding in bindings)
    return (
        f'<tr><td class="id">{escape(clause.id)}</td><td>{clause.key_word}</td><td>{_escaped(clause.text)}</td>'
        f"{cells}</tr>"
    )


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return "<td></td>"
    sign = _sign(mark_of(verdict))
    if verdict.kind in _WITH_SECTION:
        sign = f'<a href="#{_anchor(verdict)}">{sign}</a>'
    return f'<td class="mark" title="{_escaped(verdict.waiver or verdict.reason)}">{sign}</td>'


def _sign(mark: Mark) -> str:
    return f'<span class="sign {mark.word.split()[-1]}" title="{escape(mark.word)}">{mark.sign}</span>'


def _escaped(text: str) -> str:
    return escape(printable(text))
