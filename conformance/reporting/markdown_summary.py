"""Summary of a run in Markdown, for the page of a job in GitHub Actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.reporting.octets import one_line
from conformance.reporting.summary import (
    bindings_of,
    broken,
    closing_sentence,
    counted,
    first_ids,
    grouped,
    mark_counts,
    without_secrets,
)
from conformance.verdicts.verdicts import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conformance.specification.clauses import Book
    from conformance.targets.target import Target
    from conformance.verdicts.verdicts import Result

#: Most broken clauses listed, since a job's summary is limited to 1 MiB.
FAILURES_LISTED = 100
#: Characters shown of a text in a cell.
CELL_LENGTH = 300
#: Characters that mean something in Markdown or HTML, as references.
_WITHOUT_MEANING = {ord(character): f"&#{ord(character)};" for character in "&\\`*_[]<>|#"}


def build(result: Result, book: Book, target: Target) -> str:
    """The summary. It holds no passcode of the target."""
    result = without_secrets(result, target.passcode)
    title = cell(target.title or target.name)
    parts = [f"## Conformance of {title}\n\n**{cell(closing_sentence(result), 2000)}**\n", _counts(result)]
    parts.append(_broken(result, book))
    if result.stale:
        ids = list(dict.fromkeys(waiver.clause for waiver in result.stale))
        parts.append(f"Known deviations that deviate no more: {first_ids(ids, 20)}.\n")
    return "\n".join(part for part in parts if part) + "\n"


def _counts(result: Result) -> str:
    marks = mark_counts(result.verdicts)
    if not marks:
        return ""
    rows = []
    for binding in bindings_of(result.verdicts):
        counts = dict(mark_counts(verdict for verdict in result.verdicts if verdict.key.binding == binding))
        rows.append([binding, *(str(counts.get(mark, "")) for mark, _ in marks)])
    return table(["", *(f"{mark.sign} {mark.word}" for mark, _ in marks)], rows)


def _broken(result: Result, book: Book) -> str:
    groups = grouped(broken(result), book)
    if not groups:
        return ""
    rows = []
    for group in groups[:FAILURES_LISTED]:
        first = group.failures[0] if group.failures else None
        rows.append(
            [
                f"`{group.clause.id}` {group.clause.key_word}",
                group.bindings,
                cell(group.clause.text),
                cell(first.expected if first else ""),
                cell(first.observed if first else group.verdicts[0].reason),
            ]
        )
    rest = len(groups) - len(rows)
    more = f"\nAnd {counted(rest, 'requirement')} more.\n" if rest else ""
    heads = ["clause", "in", "text", "expected", "observed"]
    blocked = len({verdict.key.clause for verdict in result.of(Kind.BLOCKED)})
    behind = f"\n{counted(blocked, 'clause')} could not be judged because of these.\n" if blocked else ""
    return f"### Broken: {counted(len(groups), 'requirement')}\n\n{table(heads, rows)}{more}{behind}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown table; its cells must be free of line ends and bare bars."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def cell(text: str, most: int = CELL_LENGTH) -> str:
    """Text on one line, cut to `most` characters, without meaning in Markdown or HTML."""
    line = one_line(text)
    if len(line) > most:
        line = line[: most - 1] + "…"
    return line.translate(_WITHOUT_MEANING)
