"""Markdown of a chapter: paragraphs, and the form of list items and notes that make up a clause."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ITEM = re.compile(r"- \*\*\[([A-Z0-9]+(?:-[A-Z0-9]+)*-[0-9]+)\]\*\* +")
_LIKE_ITEM = re.compile(r"^\s*(?:[-*+]|[0-9]+[.)]) +\*\*\[", re.MULTILINE)
HEADING = re.compile(r"(#{1,6}) +(.*)")
NOTE = re.compile(r"\*(Classes|Depends on|Not judged|Restates): (.+?)\.?\*(?=\s|$)", re.DOTALL)
_LIKE_NOTE = re.compile(r"(?<!\*)\*([A-Z][A-Za-z ]*):")


class SpecError(Exception):
    """The text is malformed; the message names the file, the line and the expected form."""


def check_form(paragraph: str, where: str) -> None:
    """Raises SpecError if a paragraph resembles a clause or a note, but would be silently ignored."""
    if len(_LIKE_ITEM.findall(paragraph)) > bool(ITEM.match(paragraph)):
        first = paragraph.splitlines()[0]
        raise SpecError(
            f"{where}: {first!r} looks like a clause: expected `- **[ID-1]** ` at the beginning of a line"
        )
    if not ITEM.match(paragraph):
        return
    names = _LIKE_NOTE.findall(paragraph)
    known = [note[1] for note in NOTE.finditer(paragraph)]
    if sorted(names) != sorted(set(known)):
        raise SpecError(
            f"{where}: expected at most one of each of the notes *Classes: ….*, *Depends on: ….*, *Not judged: ….*, "
            f"*Restates: ….*; found {', '.join(names)}"
        )


def paragraphs(text: str, source: str) -> Iterator[tuple[int, str]]:
    """Paragraphs of the text with the number of their first line.

    A heading is a paragraph, and each list item starts one; fenced code is left out. Raises SpecError if a fence isn't
    closed.
    """
    fenced = 0
    start, lines = 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.lstrip().startswith("```"):
            fenced = 0 if fenced else number
            continue
        after_heading = bool(lines) and lines[-1].startswith("#")
        ends = fenced or after_heading or not line.strip() or line.startswith(("- ", "#"))
        if ends and lines:
            yield start, "\n".join(lines)
            lines = []
        if line.strip() and not fenced:
            start = start if lines else number
            lines.append(line)
    if fenced:
        raise SpecError(f"{source}:{fenced}: the code that begins here has no end: expected a line with ```")
