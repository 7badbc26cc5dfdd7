"""Header arguments of a client's frames, merged with the defaults of a command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Headers = Mapping[str, str | None] | Iterable[tuple[str, str | None]]


def merged_headers(
    defaults: Headers, headers: Headers, more: Mapping[str, str | None]
) -> list[tuple[str, str]]:
    """Headers of a frame; those that the caller gives replace defaults of the same name."""
    given = list(_pairs(headers)) + [(name.replace("_", "-"), value) for name, value in more.items()]
    names = {name for name, _ in given}
    kept = [(name, value) for name, value in _pairs(defaults) if name not in names]
    return [(name, value) for name, value in kept + given if value is not None]


def _pairs(headers: Headers) -> Iterable[tuple[str, str | None]]:
    return headers.items() if isinstance(headers, Mapping) else headers
