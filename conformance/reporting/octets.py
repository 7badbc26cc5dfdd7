"""Octets from the wire as readable text, safe for terminals and XML.

The notation is that of the examples in the specification: `^@` is a NUL, `^M` a CR, `<ff>` an octet that is not
UTF-8, `<U+202E>` an invisible character. LF ends a line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.wire.cutting import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conformance.wire.trace import TraceEntry

HIDDEN = b"(hidden)"
#: Characters that may need an escape; most text is printable ASCII and has none.
_MAY_NEED_ESCAPE = re.compile(r"[^ -~\n]")


def readable(octets: bytes) -> str:
    """Octets as text, with all invisible characters but LF escaped."""
    return printable(octets.decode("utf-8", "surrogateescape"))


def printable(text: str) -> str:
    """Text with all invisible characters but LF escaped; it has no lone surrogates."""
    return _MAY_NEED_ESCAPE.sub(_escaped, text)


def one_line(text: str) -> str:
    """Printable text on one line, with white space collapsed to single blanks."""
    return printable(" ".join(text.split()))


def entry_lines(entry: TraceEntry) -> list[str]:
    """Lines of a trace entry.

    HTTP and WebSocket handshakes are shown without CRs. STOMP is shown octet by octet, because a CR is content in one
    version and part of a line end in another.
    """
    octets = entry.octets
    if entry.kind != "stomp":
        octets = octets.replace(b"\r\n", b"\n").rstrip(b"\n")
    content = octets.rstrip(b"\n")
    ends = len(octets) - len(content)
    lines = readable(content).split("\n")
    lines[-1] += "^J" * min(ends, 3) + (ELLIPSIS if ends > 3 else "")
    if entry.size > len(entry.octets):
        lines.append(f"{ELLIPSIS} and {entry.size - len(entry.octets)} octets more")
    return lines


def clipped(lines: Sequence[str], most: int) -> list[str]:
    """At most `most` lines: if there are more, the first ones and the number of the rest."""
    if len(lines) <= most:
        return list(lines)
    return [*lines[: most - 1], f"{ELLIPSIS} and {len(lines) - most + 1} lines more"]


def wire_lines(frames: Iterable[TraceEntry]) -> list[str]:
    """Lines of a trace as plain text: time in seconds, connection, direction, octets."""
    lines: list[str] = []
    for entry in frames:
        head = f"{entry.at:9.3f} {entry.connection} {entry.direction} "
        first, *rest = entry_lines(entry)
        lines.append(head + first)
        lines.extend(" " * len(head) + line for line in rest)
    return [line.rstrip() for line in lines]


def without_passcode(frames: Iterable[TraceEntry], passcode: str | None) -> tuple[TraceEntry, ...]:
    """Frames with the target's passcode hidden, since users share reports."""
    if not passcode:
        return tuple(frames)
    secret, hidden = b"\npasscode:" + passcode.encode(), b"\npasscode:" + HIDDEN
    return tuple(_replaced(entry, secret, hidden) for entry in frames)


def _replaced(entry: TraceEntry, old: bytes, new: bytes) -> TraceEntry:
    if old not in entry.octets:
        return entry
    octets = entry.octets.replace(old, new)
    return entry._replace(octets=octets, size=entry.size + len(octets) - len(entry.octets))


def _escaped(found: re.Match[str]) -> str:
    character = found.group()
    code = ord(character)
    if character.isprintable():
        return character
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"<{code - 0xDC00:02x}>"
    return f"<U+{code:04X}>"
