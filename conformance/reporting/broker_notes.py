"""Notes about brokers, in words, that a comparison prints: what bites a user, each with the clauses that show it.

[[notes]]
broker = "rabbitmq"
transport = "tcp"       # left out if it holds over all
kind = "lost messages"
clauses = ["STOMP-TX-014"]
text = "A second BEGIN empties the transaction."
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conformance.reporting.columns import Column

_KEYS = {"broker", "kind", "clauses", "text"}


class BadNotes(Exception):
    """A file of notes that can't be used; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Note:
    """One note; `kind` is a word such as `security`, `transport` is "" for all."""

    broker: str
    kind: str
    clauses: tuple[str, ...]
    text: str
    transport: str = ""


def read_notes(path: Path) -> list[Note]:
    """Notes of a TOML file. Raises BadNotes."""
    try:
        entries = tomllib.loads(path.read_text("utf-8")).get("notes", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadNotes(f"{path}: {error}") from error
    return [_note(entry, path) for entry in entries]


def check_notes(notes: Sequence[Note], columns: Sequence[Column]) -> None:
    """Raises BadNotes for a note whose broker is in no report, or of whose clauses none is broken there."""
    for note in notes:
        own = [
            column
            for column in columns
            if column.name == note.broker and note.transport in ("", column.transport)
        ]
        if not own:
            raise BadNotes(
                f"a note is about {note.broker!r}, which no report is about: remove it, or add the report"
            )
        states = {column.state(clause) for column in own for clause in note.clauses}
        if not states & {"broken", "deviating"}:
            raise BadNotes(
                f"a note about {note.broker} names {', '.join(note.clauses)}, none of which is broken in the reports: "
                "remove it if it is mended"
            )


def _note(entry: object, path: Path) -> Note:
    if not isinstance(entry, dict) or not entry.keys() >= _KEYS or entry.keys() - _KEYS - {"transport"}:
        raise BadNotes(f"{path}: expected {', '.join(sorted(_KEYS))} and maybe transport; found {entry!r}")
    return Note(
        str(entry["broker"]),
        str(entry["kind"]),
        tuple(map(str, entry["clauses"])),
        str(entry["text"]),
        str(entry.get("transport", "")),
    )
