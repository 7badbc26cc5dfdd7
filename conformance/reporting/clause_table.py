"""Table of clauses by chapter on a terminal: a row per clause, a column per binding."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.text import Text

from conformance.reporting.summary import MARKS, bindings_of, by_chapter, mark_counts, mark_of
from conformance.verdicts.verdicts import Kind

if TYPE_CHECKING:
    from conformance.reporting.screen import Screen
    from conformance.specification.clauses import Book, Clause
    from conformance.verdicts.verdicts import Result, Verdict

#: Short column heads, which leave room for the clause text in 80 columns.
_LABELS = {
    "queue-http": "http",
    "queue-stomp": "stomp",
    "stomp-publish": "pub",
    "stomp-1.0": "1.0",
    "stomp-1.1": "1.1",
    "stomp-1.2": "1.2",
    "websocket": "ws",
    "tcp": "tcp",
}
_LEVEL_WIDTH = 6
#: Common opening of clauses, left out of the table to save room.
_OPENING = re.compile(r"The server (?:MUST|SHOULD|MAY) ")


def print_table(screen: Screen, result: Result, book: Book) -> None:
    """Print the table, its legend, and the number of verdicts per binding and mark."""
    columns = {name: _LABELS.get(name, name) for name in bindings_of(result.verdicts)}
    if not columns:
        return
    id_width = max(len(verdict.key.clause) for verdict in result.verdicts)
    for chapter, rows in by_chapter(result, book).items():
        in_use = {binding for _, verdicts in rows for binding in verdicts}
        screen.blank()
        screen.line(*_chapter_row(screen, chapter, columns, in_use))
        for clause, verdicts in rows:
            screen.line(*_clause_row(screen, clause, verdicts, columns, id_width))
    screen.blank()
    _print_legend(screen, result)
    _print_counts(screen, result, columns)


def _chapter_row(screen: Screen, chapter: str, columns: dict[str, str], in_use: set[str]) -> list[Text]:
    cells = Text()
    for name, label in columns.items():
        cells.append(" " + (label if name in in_use else " " * len(label)), "bold")
    title = Text(chapter, "bold")
    return [_fitted(title, screen.width - cells.cell_len), cells]


def _clause_row(
    screen: Screen, clause: Clause, verdicts: dict[str, Verdict], columns: dict[str, str], id_width: int
) -> list[Text]:
    cells = Text()
    for name, label in columns.items():
        verdict = verdicts.get(name)
        mark = mark_of(verdict) if verdict else None
        cells.append(" " * len(label))
        cells.append(mark.sign if mark else " ", mark.style if mark else "")
    is_plain = all(verdict.kind in (Kind.PASS, Kind.OBSERVED) for verdict in verdicts.values())
    head = Text(f"{clause.id:{id_width}} {clause.level.value:{_LEVEL_WIDTH}} ", "" if is_plain else "bold")
    head.append(_gist(clause), "dim" if is_plain else "")
    return [_fitted(head, screen.width - cells.cell_len), cells]


def _gist(clause: Clause) -> str:
    opening = _OPENING.match(clause.text)
    return clause.text[opening.end() :] if opening else clause.text


def _fitted(text: Text, width: int) -> Text:
    """Text padded or, with an ellipsis, cut to `width` columns."""
    text.truncate(width, overflow="ellipsis")
    text.append(" " * (width - text.cell_len))
    return text


def _print_legend(screen: Screen, result: Result) -> None:
    line = Text()
    for mark, _ in mark_counts(result.verdicts):
        item = Text.assemble((mark.sign, mark.style), f" {mark.word}  ")
        if line.cell_len + item.cell_len > screen.width:
            screen.line(line)
            line = Text()
        line.append_text(item)
    screen.line(line)


def _print_counts(screen: Screen, result: Result, columns: dict[str, str]) -> None:
    width = max(map(len, columns))
    marks = [mark for mark, _ in mark_counts(result.verdicts)]
    for name in columns:
        counts = dict(mark_counts(verdict for verdict in result.verdicts if verdict.key.binding == name))
        row = Text(f"{name:{width}} ")
        for mark in marks:
            count = counts.get(mark, 0)
            style = mark.style if count and mark is not MARKS[Kind.PASS] else "dim" if not count else ""
            row.append(f" {mark.sign} {count:<4}", style)
        screen.line(row)
