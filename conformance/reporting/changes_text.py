"""Changes between two runs, as text, Markdown or HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from conformance.reporting.changes import FAILING, Change
from conformance.reporting.markdown_summary import cell, table
from conformance.reporting.octets import one_line
from conformance.reporting.page_style import STYLE
from conformance.reporting.summary import counted
from conformance.verdicts.verdicts import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.reporting.changes import ChangedVerdict, Comparison

_HEADS = ["clause", "in", "text", "before", "now", "why"]


def closing(comparison: Comparison) -> str:
    """The result of the comparison in one sentence that ends with the exit status."""
    broke = sum(changed.change in FAILING for changed in comparison.changes)
    unjudged = len(comparison.of(Change.UNJUDGED))
    missing = "is missing" if unjudged == 1 else "are missing"
    mended = len(comparison.of(Change.MENDED))
    status = comparison.exit
    said = {
        Exit.NOT_CONFORMING: f"SOMETHING BROKE: {counted(broke, 'verdict')} on requirements",
        Exit.INCONCLUSIVE: f"INCONCLUSIVE: nothing broke, {counted(unjudged, 'verdict')} that held {missing}",
    }.get(status, "NOTHING BROKE")
    return f"{said}, {mended} mended (exit status {int(status)})."


def as_text(comparison: Comparison) -> str:
    """Plain text, a line per verdict."""
    lines = [f"before: {one_line(comparison.old)}", f"now:    {one_line(comparison.new)}"]
    for change in Change:
        if found := comparison.of(change):
            lines += ["", f"{change.value} ({len(found)})"]
            lines += [
                f"  {item.clause}  {item.binding}  {item.old or 'none'} -> {item.new or 'none'}"
                + (f": {one_line(item.reason)}" if item.reason else "")
                for item in found
            ]
    return "\n".join([*lines, "", closing(comparison), ""])


def as_markdown(comparison: Comparison) -> str:
    """Markdown, a table per kind of change."""
    parts = [
        f"## Changes\n\nFrom {cell(comparison.old)} to {cell(comparison.new)}.\n\n**{cell(closing(comparison))}**\n"
    ]
    for change in Change:
        if found := comparison.of(change):
            rows = [[f"`{item.clause}` {item.level}", *map(cell, _cells(item))] for item in found]
            parts.append(f"### {change.value} ({len(found)})\n\n{table(_HEADS, rows)}")
    return "\n".join(parts)


def as_html(comparison: Comparison) -> str:
    """One self-contained HTML page."""
    sections = []
    for change in Change:
        if found := comparison.of(change):
            heads = "".join(f"<th>{head}</th>" for head in _HEADS)
            rows = "".join(
                f'<tr><td class="id">{escape(item.clause)} {escape(item.level)}</td>'
                + "".join(f"<td>{escape(one_line(text))}</td>" for text in _cells(item))
                + "</tr>"
                for item in found
            )
            sections.append(
                f"<h2>{escape(change.value)} ({len(found)})</h2><table><thead><tr>{heads}</tr></thead>"
                f"<tbody>{rows}</tbody></table>"
            )
    mood = {Exit.CONFORMING: "good", Exit.NOT_CONFORMING: "bad"}.get(comparison.exit, "unclear")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Changes between two runs</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>Changes between two runs</h1>\n<p class="closing {mood}">{escape(closing(comparison))}</p>\n'
        f'<dl class="facts"><dt>Before</dt><dd>{escape(one_line(comparison.old))}</dd>'
        f"<dt>Now</dt><dd>{escape(one_line(comparison.new))}</dd></dl>\n"
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def _cells(item: ChangedVerdict) -> list[str]:
    return [item.binding, item.text, item.old or "none", item.new or "none", item.reason]


#: Functions that write a comparison, by the name of the format.
FORMATS: dict[str, Callable[[Comparison], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "html": as_html,
}
