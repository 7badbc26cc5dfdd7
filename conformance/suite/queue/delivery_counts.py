"""Counts of deliveries in words, for the report of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: Most records that each part of the sentence names.
NAMED = 5


def in_words(seen: Mapping[str, int], published: Collection[str]) -> str:
    """Sentence on how often each record came: those that never came, came more than once, or were never published."""
    missing = [text for text in published if not seen.get(text)]
    unknown = [text for text, count in seen.items() if count and text not in published]
    parts = [f"{sum(seen.get(text) == 1 for text in published)} of {len(published)} records came once"]
    if missing:
        parts.append(f"{len(missing)} never came ({_some(missing)})")
    for count in sorted({number for number in seen.values() if number > 1}):
        texts = [text for text in seen if seen[text] == count and text in published]
        if texts:
            parts.append(f"{len(texts)} came {_times(count)} ({_some(texts)})")
    if unknown:
        parts.append(f"{len(unknown)} came that nobody had published ({_some(unknown)})")
    return ", ".join(parts)


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(map(repr, texts[:NAMED])) + more
