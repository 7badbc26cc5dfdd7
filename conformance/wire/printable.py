"""Text for streams whose encoding lacks some of its characters."""

from __future__ import annotations

from conformance.wire.cutting import ELLIPSIS

#: Non-ASCII signs of the suite's own output, each with an ASCII replacement of the same width.
_PLAIN_SIGNS = str.maketrans(f"✓✗△○⊘≈{ELLIPSIS}–─×·", "+X^o/=~--x.")  # noqa: RUF001  typographic signs on purpose


def printable(text: str, encoding: str) -> str:
    """The text in characters of `encoding`: plain signs for the suite's own ones, escapes for all others."""
    octets = text.translate(_PLAIN_SIGNS).encode(encoding, "backslashreplace")
    return octets.decode(encoding)
