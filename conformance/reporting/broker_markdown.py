"""Comparison of brokers as Markdown: counts by chapter, deviations in words, and clause by clause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.reporting.columns import SIGNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.reporting.broker_notes import Note
    from conformance.reporting.columns import Clause, Column, Mark

_INTRODUCTION = """\
# What real brokers do

The clauses of STOMP, over TCP and over WebSocket, that brokers people run do not keep, as the suite found them.
Everything but the notes in words is made from the reports of the runs, by one command:

    {command}

Each report is that of one run; a broker can be judged again by the command in its row, with `--report DIR`.
[{page}]({page}) has the same table with filters, and the octets of each failure.
"""
_LEGEND = """\
`✗` breaks a MUST, `≈` doesn't follow a SHOULD, `✓` keeps the clause where it was judged, `·` could not be judged
(because a clause that it depends on is broken, or because the server gives no way to see it), and an empty cell is a
class that the broker doesn't claim. Where versions stand behind a mark, it is only in these. `⇄` says that runs of the
same broker gave different verdicts: the worse one is shown. The reasons are in the
[target files](../conformance/targets). A clause that all keep has no row.
"""
_COUNTS_LEGEND = """\
Clauses that are kept, of those that were judged. A column of few clauses is not one of few deviations: what depends on
a broken clause can't be judged.
"""


def page(
    columns: Sequence[Column], clauses: Sequence[Clause], notes: Sequence[Note], command: str, html: str
) -> str:
    """Text of the page; `command` made it, `html` is the name of the page with the octets."""
    parts = [
        _INTRODUCTION.format(command=command, page=html),
        _runs(columns),
        "## By chapter\n\n" + _COUNTS_LEGEND + "\n" + _counts(columns, clauses),
        "## What bites you\n\n" + _notes(columns, notes) if notes else "",
        _unstable(columns),
        "## Clause by clause\n\n" + _LEGEND + "\n" + _table(columns, clauses),
    ]
    return "\n".join(part for part in parts if part)


def _runs(columns: Sequence[Column]) -> str:
    lines = _row(
        ["", "broker", "version", "transport", "from", "license", "command", "runs, effort, seconds"]
    )
    lines += _row(["---"] * 8)
    for column in columns:
        runs = [report["run"] for report in column.reports]
        efforts = ", ".join(dict.fromkeys(run["effort"] for run in runs))
        seconds = ", ".join(f"{run['duration']:.0f}" for run in runs)
        about = column.about
        lines += _row(
            [
                f"`{column.id}`",
                column.title,
                column.version,
                column.transport,
                about.get("source", ""),
                about.get("license", ""),
                f"`{about['command']}`" if "command" in about else "",
                f"{len(runs)}, {efforts}, {seconds}",
            ]
        )
    return lines


def _counts(columns: Sequence[Column], clauses: Sequence[Clause]) -> str:
    lines = _row(["chapter", *(f"`{column.id}`" for column in columns)])
    lines += _row(["---"] * (len(columns) + 1))
    for chapter in dict.fromkeys(clause.chapter for clause in clauses):
        own = [clause for clause in clauses if clause.chapter == chapter]
        lines += _row([chapter, *(_share(column, own) for column in columns)])
    lines += _row(["**all**", *(f"**{_share(column, clauses)}**" for column in columns)])
    for title, state in (("✗ MUST broken", "broken"), ("≈ SHOULD not followed", "deviating")):
        lines += _row([title, *(str(column.count(state, clauses)) for column in columns)])
    return lines


def _share(column: Column, clauses: Sequence[Clause]) -> str:
    kept, judged = share(column, clauses)
    return f"{kept} of {judged}" if judged else ""


def share(column: Column, clauses: Sequence[Clause]) -> tuple[int, int]:
    """Clauses that are kept, and those that were judged."""
    kept = column.count("kept", clauses)
    return kept, kept + column.count("broken", clauses) + column.count("deviating", clauses)


def _notes(columns: Sequence[Column], notes: Sequence[Note]) -> str:
    lines = ""
    for name, title in dict.fromkeys((column.name, column.title) for column in columns):
        own = [note for note in notes if note.broker == name]
        if not own:
            continue
        versions = ", ".join(dict.fromkeys(column.version for column in columns if column.name == name))
        lines += f"### {title} {versions}".rstrip() + "\n\n"
        for note in own:
            where = f", over {note.transport}" if note.transport else ""
            ids = ", ".join(f"`{clause}`" for clause in note.clauses)
            lines += f"- **{note.kind}{where}**: {note.text} ({ids})\n"
        lines += "\n"
    return lines.rstrip("\n") + "\n"


def _unstable(columns: Sequence[Column]) -> str:
    lines = [
        f"- `{column.id}`: {', '.join(f'`{clause}`' for clause in found)}"
        for column in columns
        if (found := column.unstable())
    ]
    if not lines:
        return ""
    return "## Verdicts that changed between two runs\n\n" + "\n".join(lines) + "\n"


def _table(columns: Sequence[Column], clauses: Sequence[Clause]) -> str:
    lines = _row(["clause", "", *(f"`{column.id}`" for column in columns)])
    lines += _row(["---"] * (len(columns) + 2))
    for clause in clauses:
        if any(column.state(clause.id) in ("broken", "deviating") for column in columns):
            cells = [_cell(column.marks.get(clause.id, [])) for column in columns]
            lines += _row([f"`{clause.id}` {clause.word}", clause.text, *cells])
    return lines


def _cell(marks: Sequence[Mark]) -> str:
    bad = [mark for mark in marks if mark.state in ("broken", "deviating")]
    shown = bad or marks[:1]
    return "; ".join(_mark(mark, whole=len(marks) == 1 or not bad) for mark in shown)


def _mark(mark: Mark, *, whole: bool) -> str:
    sign = SIGNS[mark.state] + (" ⇄" if mark.is_unstable else "")
    return sign if whole or not mark.versions else f"{sign} {', '.join(mark.versions)}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"
