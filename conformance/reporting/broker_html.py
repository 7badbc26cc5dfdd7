"""Comparison of brokers as one self-contained HTML page: a table with filters, each mark linked to its failure.

The page works without scripts, too, but for the filters: it loads nothing, and has no data but its text.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from conformance.reporting.broker_markdown import share
from conformance.reporting.broker_page_style import SCRIPT, STYLE
from conformance.reporting.columns import LEVELS, SIGNS
from conformance.reporting.octets import printable
from conformance.wire.cutting import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conformance.reporting.broker_notes import Note
    from conformance.reporting.columns import Clause, Column, Mark

#: Largest size of the page, in octets.
MOST_OCTETS = 500_000
#: Frames of a failure, and characters of each frame or text, from the most to the least: the first that fit are taken.
_SIZES = (
    (10, 600),
    (8, 400),
    (6, 300),
    (5, 240),
    (4, 200),
    (4, 160),
    (3, 140),
    (3, 110),
    (2, 90),
    (1, 60),
    (0, 40),
)


#: Frames that show nothing but in tests of themselves.
_PLAIN = re.compile(
    r"\A(CONNECT|CONNECTED|close .*)\n|^(transaction|receipt-id):fence|^destination:\S+fence-|\nmarker-|\nprobe-",
    re.MULTILINE,
)


class TooLarge(Exception):
    """A page that can't be made small enough; the message says how many reports it is of."""


def page(columns: Sequence[Column], clauses: Sequence[Clause], notes: Sequence[Note], command: str) -> str:
    """Text of the page, at most MOST_OCTETS in UTF-8. Raises TooLarge."""
    for frames, characters in _SIZES:
        text = _page(columns, clauses, notes, command, _Failures(frames, characters))
        if len(text.encode("utf-8")) <= MOST_OCTETS:
            return text
    raise TooLarge(
        f"{len(columns)} columns make a page of more than {MOST_OCTETS} octets: name fewer reports"
    )


class _Failures:
    """Sections of the failures that marks link to, numbered."""

    def __init__(self, frames: int, characters: int) -> None:
        self.sections: list[str] = []
        self._frames = frames
        self._characters = characters

    def add(self, column: Column, clause: Clause, mark: Mark) -> str:
        """Id of the section for a mark; "" if there is no failure."""
        failure = mark.failure
        if failure is None:
            return ""
        name = f"f{len(self.sections)}"
        bindings = ", ".join(mark.bindings)
        frames = _telling(failure["frames"])[-self._frames :] if self._frames else []
        rows = "".join(
            f"<tr class={'s' if frame['direction'] == '>' else 'r'}><td>{frame['at']:.3f}<td>"
            f"{escape(frame['connection'])} {escape(frame['direction'])}<td><pre>{self._clipped(_octets(frame))}</pre>"
            for frame in frames
        )
        waiver = f"<p>{escape(printable(mark.waiver))}</p>" if mark.waiver else ""
        file = f" <i>{escape(failure['recording'])}</i>" if failure["recording"] else ""
        self.sections.append(
            f"<section id={name}><h3>{escape(column.title)} {escape(column.version)}, {column.transport}: "
            f"{escape(clause.id)} {escape(clause.word)}</h3>"
            f"<p>{escape(bindings)}</p>{waiver}"
            f"<dl><dt>Expected<dd>{self._clipped(failure['expected'])}"
            f"<dt>Observed<dd>{self._clipped(failure['observed'])}"
            f"<dt>Test<dd>{escape(printable(failure['test']))}{file}</dl><table>{rows}</table></section>"
        )
        return name

    def _clipped(self, text: str) -> str:
        shown = printable(text)
        if len(shown) > self._characters:
            shown = shown[: self._characters] + ELLIPSIS
        return escape(shown)


def _telling(frames: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Frames but those that open and close connections and that only wait for an answer, unless there are no others."""
    return [frame for frame in frames if not _PLAIN.search(frame["text"])] or frames


def _octets(frame: Mapping[str, Any]) -> str:
    """Text of a frame, where a NUL and other invisible octets are visible; a report has those of no UTF-8 so."""
    return str(frame["text"]).rstrip("\n")


def _page(
    columns: Sequence[Column],
    clauses: Sequence[Clause],
    notes: Sequence[Note],
    command: str,
    failures: _Failures,
) -> str:
    table = _table(columns, clauses, failures)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>What real brokers do</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        "<h1>What real brokers do with STOMP</h1>\n"
        f"<p>Made from reports of runs by <code>{escape(command)}</code>. ✗ breaks a MUST, ≈ doesn't follow a SHOULD, "
        "✓ keeps the clause, · could not be judged, ⇄ differs between runs. A mark leads to the octets.</p>\n"
        + _filters(columns)
        + _runs(columns, clauses)
        + _notes(columns, notes)
        + table
        + '<div id="failures">\n'
        + "\n".join(failures.sections)
        + f"\n</div>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _filters(columns: Sequence[Column]) -> str:
    brokers = dict.fromkeys((column.name, column.title) for column in columns)
    choices = {
        "broker": brokers,
        "transport": [(name, name) for name in dict.fromkeys(column.transport for column in columns)],
        "version": [(name, f"STOMP {name}") for name in ("1.0", "1.1", "1.2")],
        "level": [(name, name) for name in LEVELS],
    }
    fields = "".join(_select(name, options) for name, options in choices.items())
    return f'<form id="filters">{fields}<label><input type="checkbox" name="all"> also what all keep</label></form>\n'


def _select(name: str, options: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options)
    return f'<label>{name} <select name="{name}"><option value="">all</option>{rows}</select></label> '


def _runs(columns: Sequence[Column], clauses: Sequence[Clause]) -> str:
    rows = ""
    for number, column in enumerate(columns):
        kept, judged = share(column, clauses)
        efforts = ", ".join(dict.fromkeys(report["run"]["effort"] for report in column.reports))
        rows += (
            f'<tr data-column="{number}" data-broker="{escape(column.name)}" data-transport="{column.transport}">'
            f"<td>{escape(column.id)}<td>{escape(column.title)} {escape(column.version)}"
            f"<td>{escape(column.about.get('source', ''))}<td>{len(column.reports)}, {escape(efforts)}"
            f"<td>{kept} of {judged}<td>{column.count('broken', clauses)}<td>{column.count('deviating', clauses)}"
        )
    return (
        "<table><thead><tr><th><th>broker<th>from<th>runs, effort<th>clauses kept<th>MUST broken"
        f"<th>SHOULD not followed</thead><tbody>{rows}</tbody></table>\n"
    )


def _notes(columns: Sequence[Column], notes: Sequence[Note]) -> str:
    titles = {column.name: column.title for column in columns}
    rows = "".join(
        f'<li data-broker="{escape(note.broker)}" data-transport="{escape(note.transport)}">'
        f"<b>{escape(titles.get(note.broker, note.broker))}: {escape(note.kind)}</b>"
        f"{escape(f' ({note.transport})' if note.transport else '')}: {_code(note.text)} "
        f"<small>{escape(', '.join(note.clauses))}</small>"
        for note in notes
    )
    return f"<h2>What bites you</h2><ul>{rows}</ul>\n" if rows else ""


def _table(columns: Sequence[Column], clauses: Sequence[Clause], failures: _Failures) -> str:
    heads = "".join(f"<th class=c{number}>{escape(column.id)}" for number, column in enumerate(columns))
    body, chapter = "", ""
    for clause in clauses:
        if clause.chapter != chapter:
            chapter = clause.chapter
            body += f'<tr class="chapter"><th colspan="2">{escape(chapter)}{heads}'
        states = {column.state(clause.id) for column in columns}
        whole = "" if states & {"broken", "deviating"} else ' class="kept"'
        every = [mark.versions for column in columns for mark in column.marks.get(clause.id, [])]
        versions = tuple(sorted({version for found in every for version in found}))
        cells = "".join(
            f"<td class=c{number}>"
            + " ".join(
                _mark(column, clause, mark, failures, versions) for mark in column.marks.get(clause.id, [])
            )
            for number, column in enumerate(columns)
        )
        body += (
            f'<tr data-level="{clause.level}" data-v="{" ".join(versions)}"{whole}>'
            f'<td title="{escape(clause.text)}">{escape(clause.id)}'
            f"<td>{escape(clause.word)}{cells}\n"
        )
    return f'<table class="clauses"><tbody>{body}</tbody></table>\n'


def _mark(column: Column, clause: Clause, mark: Mark, failures: _Failures, versions: tuple[str, ...]) -> str:
    """Mark of a cell; `versions` are those of the row, which a mark of all of them doesn't repeat."""
    sign = SIGNS[mark.state] + ("⇄" if mark.is_unstable else "")
    of = f' data-v="{" ".join(mark.versions)}"' if mark.versions not in ((), versions) else ""
    bad = mark.state in ("broken", "deviating")
    name = failures.add(column, clause, mark) if bad else ""
    link = f" href=#{name}" if name else ""
    return f"<a class={mark.state[0]}{of}{link}>{sign}</a>"


def _code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
