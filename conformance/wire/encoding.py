"""Encoding of STOMP frames by the rules of each version: escapes of headers, octets of a client's frame."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Frames whose headers are never escaped (STOMP-ENC-005, STOMP-ENC-006).
LITERAL_COMMANDS = frozenset({"CONNECT", "STOMP", "CONNECTED"})
#: Escapes of the versions that have them, by character.
ESCAPED = {
    "1.1": {"\\": "\\\\", "\n": "\\n", ":": "\\c"},
    "1.2": {"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"},
}
_DECODED = {version: {pair[1]: octet for octet, pair in pairs.items()} for version, pairs in ESCAPED.items()}
_NEEDS_ESCAPE = re.compile(r"[\\\n:\r]")
_PAIR = re.compile(r"\\(.?)", re.DOTALL)


def escape(text: str, version: str | None) -> str:
    """Header name or value as it is encoded on a session of `version` (None: 1.2; 1.0 has no escapes)."""
    pairs = ESCAPED.get(version or "1.2")
    if pairs is None or not _NEEDS_ESCAPE.search(text):
        return text
    return "".join(pairs.get(character, character) for character in text)


def unescape(text: str, version: str | None) -> str:
    """Decoded header name or value. Raises ValueError at a backslash that begins no escape of `version`."""
    pairs = _DECODED.get(version or "1.2")
    if pairs is None or "\\" not in text:
        return text

    def decoded(match: re.Match[str]) -> str:
        octet = pairs.get(match.group(1))
        if octet is None:
            raise ValueError(f"undefined escape {match.group()!r}")
        return octet

    return _PAIR.sub(decoded, text)


def encode(
    command: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    version: str | None = "1.2",
    eol: str = "\n",
) -> bytes:
    """Octets of a frame that a client of `version` sends. Adds no header, not even `content-length`."""
    if command in LITERAL_COMMANDS:
        version = "1.0"
    lines = [command]
    lines += [f"{escape(name, version)}:{escape(value, version)}" for name, value in headers]
    return (eol.join(lines) + eol + eol).encode() + body + b"\0"


def is_utf8(octets: bytes) -> bool:
    """True if the octets are valid UTF-8."""
    if octets.isascii():
        return True
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
