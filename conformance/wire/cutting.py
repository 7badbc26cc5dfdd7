"""Beginnings of what a server sent, for messages.

A cut is marked by ELLIPSIS, by which `Secrets` finds the beginnings of secrets that a cut leaves behind.
"""

from __future__ import annotations

ELLIPSIS = "…"


def cut(text: str, length: int) -> str:
    """The text, or its first `length` characters and ELLIPSIS."""
    return text if len(text) <= length else text[:length] + ELLIPSIS


def cut_octets(octets: bytes, size: int) -> str:
    """The octets as text, or the first `size` of them and ELLIPSIS."""
    return octets[:size].decode("utf-8", "replace") + (ELLIPSIS if len(octets) > size else "")


def cut_repr(octets: bytes, size: int) -> str:
    """The octets as Python writes them, or the first `size` of them and ELLIPSIS."""
    return f"{octets[:size]!r}" + (ELLIPSIS if len(octets) > size else "")
