r"""Escapes in header names and values: `\n`, `\c`, `\\` since 1.1, `\r` since 1.2, none in 1.0."""

import re
from collections.abc import Iterable

from reference_server.stomp.errors import ProtocolError

_DECODED = {
    "1.1": {"\\n": "\n", "\\c": ":", "\\\\": "\\"},
    "1.2": {"\\n": "\n", "\\c": ":", "\\\\": "\\", "\\r": "\r"},
}
_ENCODED = {
    version: str.maketrans({plain: pair for pair, plain in pairs.items()})
    for version, pairs in _DECODED.items()
}
_PAIR = re.compile(r"\\.?", re.DOTALL)


def unescape(text: str, version: str) -> str:
    """Decode in a single pass from left to right (STOMP-ENC-002, STOMP-ENC-009); 1.0 has no escapes.

    Raises ProtocolError for a pair that the version does not define, and for a backslash at the end
    (STOMP-ENC-003).
    """
    pairs = _DECODED.get(version)
    if pairs is None or "\\" not in text:
        return text
    try:
        return _PAIR.sub(lambda found: pairs[found.group()], text)
    except KeyError as unknown:
        defined = f"STOMP {version} defines {', '.join(sorted(pairs))}; found {unknown.args[0]!r}."
        advice = f"{defined} Write a backslash of the text as two."
        raise ProtocolError("undefined escape in a header", advice) from None


def escape(text: str, version: str) -> str:
    """Encode one header name or value for a frame of that version (STOMP-ENC-004, STOMP-ABNF-004)."""
    if "\\" in text or ":" in text or "\n" in text or "\r" in text:
        table = _ENCODED.get(version)
        return text if table is None else text.translate(table)
    return text


def header_lines(headers: Iterable[tuple[str, str]], version: str) -> list[str]:
    """Write header lines, without LF; headers that the version cannot express are left out."""
    return [
        f"{escape(name, version)}:{escape(value, version)}"
        for name, value in headers
        if _is_expressible(name, value, version)
    ]


def _is_expressible(name: str, value: str, version: str) -> bool:
    """Return whether a version can write a header: 1.0 has no LF, no colon in a name, no empty value."""
    return version != "1.0" or (bool(value) and ":" not in name and "\n" not in name + value)
