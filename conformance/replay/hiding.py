"""Secrets in recorded events: what stands for them in a file, and how a replay puts its own in their places.

The suite's own octets name the origin of each secret, as in `(hidden:header Cookie)`, so that a replay can send its
own value there. In the server's octets each secret is masked by as many asterisks: their framing stays as it is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conformance.targets.secrets import Secrets
    from conformance.wire.access import Access
    from conformance.wire.trace import Event

#: Credentials that a test gives itself; they are sent as this text.
HIDDEN_HEADER = b"(hidden:header)"
_PLACE = re.compile(rb"\(hidden:((?:header|connect-header|query) [^)]+|passcode|user)\)")
_SECRET_HEADER = re.compile(rb"(?mi)^((?:authorization|cookie|proxy-authorization): ?+)(?!\(hidden:)[^\r\n]+")
_SECRET_NAMES = frozenset({"authorization", "cookie", "proxy-authorization"})
#: First line of a request whose target is a path.
_REQUEST_LINE = re.compile(rb"([A-Z]{3,20} )(/[^\s]*)( HTTP/1\.[01]\r?\n)")
_LENGTH = re.compile(rb"(?mi)^content-length: *(\d{1,15})\r?$")


def hidden_events(events: Sequence[Event], secrets: Secrets, access: Access) -> tuple[Event, ...]:
    """Events without secrets, and without the prefix and the query that go with every request of the run."""
    bare = [_bare(event, access) for event in events]
    streams: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for number, event in enumerate(bare):
        if event.octets:
            streams[event.connection, event.what, event.kind].append(number)
    for (_, what, kind), numbers in streams.items():
        instead = _placeholder if what == "send" else _mask
        pieces = secrets.pieces([bare[number].octets for number in numbers], instead)
        for number, octets in zip(numbers, pieces, strict=True):
            if kind == "http" and what == "send":
                octets = _SECRET_HEADER.sub(rb"\g<1>" + HIDDEN_HEADER, octets)
            bare[number] = _with_octets(bare[number], octets)
    return tuple(
        event._replace(facts=_hidden_facts(event, secrets, access)) if event.facts else event
        for event in bare
    )


def masked(event: Event, secrets: Secrets) -> Event:
    """A received event as it would be in a record."""
    return event._replace(octets=secrets.pieces([event.octets], _mask)[0]) if event.octets else event


def collapsed(text: str) -> str:
    """Text in which the length of a mask does not count."""
    return re.sub(r"\*{3,}", "***", text)


def origins(events: Sequence[Event]) -> set[str]:
    """Origins of the secrets that a replay of the events has to know."""
    sent = [event.octets for event in events if event.what == "send"]
    sent += [
        str(value).encode("utf-8", "replace")
        for event in events
        if event.what == "open"
        for value in dict(event.facts.get("headers", {})).values()
    ]
    return {found[1].decode("utf-8", "replace") for octets in sent for found in _PLACE.finditer(octets)}


def restored(octets: bytes, known: Mapping[str, str]) -> bytes:
    """Octets with the replay's secrets in their places; those that it does not know stay."""

    def secret(found: re.Match[bytes]) -> bytes:
        value = known.get(found[1].decode("utf-8", "replace"))
        return found[0] if value is None else value.encode("utf-8", "surrogateescape")

    return _PLACE.sub(secret, octets)


def bare_path(path: str, access: Access) -> str:
    """Path of a request without the prefix and the query of the run."""
    if access.query:
        path = path.removesuffix(f"?{access.query}").removesuffix(f"&{access.query}")
    if access.prefix and urlsplit(path).path.startswith(f"{access.prefix}/"):
        path = path[len(access.prefix) :]
    return path


def with_paths(octets: bytes, change: Callable[[str, bytes], tuple[str, bytes]]) -> bytes:
    """Octets whose requests have other paths; `change` gets a path and the headers behind it, and returns both.

    Bodies stay as they are. Nothing is changed behind a request without a content-length.
    """
    changed = b""
    while line := _REQUEST_LINE.match(octets):
        head, gap, rest = octets[line.end() :].partition(b"\r\n\r\n")
        path, headers = change(line[2].decode("latin-1"), head)
        length = _LENGTH.search(head)
        body = int(length[1]) if length else 0
        changed += line[1] + path.encode("latin-1") + line[3] + headers + gap + rest[:body]
        octets = rest[body:]
    return changed + octets


def _bare(event: Event, access: Access) -> Event:
    if event.what != "send" or event.kind != "http" or not (access.query or access.prefix):
        return event

    octets = with_paths(event.octets, lambda path, headers: (bare_path(path, access), headers))
    return _with_octets(event, octets)


def _with_octets(event: Event, octets: bytes) -> Event:
    if octets == event.octets:
        return event
    return event._replace(octets=octets, size=event.size + len(octets) - len(event.octets))


def _hidden_facts(event: Event, secrets: Secrets, access: Access) -> dict[str, Any]:
    facts = {name: _hidden(value, secrets) for name, value in event.facts.items()}
    if event.what != "open" or "path" not in event.facts:
        return facts
    headers = {}
    for name, value in dict(event.facts.get("headers", {})).items():
        octets = secrets.pieces([str(value).encode("utf-8", "surrogateescape")], _placeholder)[0]
        text = octets.decode("utf-8", "surrogateescape")
        is_own = name.lower() in _SECRET_NAMES and not _PLACE.search(octets)
        # A value too short to be hidden in any text is hidden here.
        origin = f"header {name.lower()}"
        if secrets.known.get(origin) == value:
            text, is_own = f"(hidden:{origin})", False
        headers[name] = HIDDEN_HEADER.decode() if is_own else text
    path = bare_path(f"/{event.facts['path']}", access).partition("?")[0]
    return {**facts, "path": path.removeprefix("/"), "headers": headers}


def _hidden(value: Any, secrets: Secrets) -> Any:
    return secrets.text(value) if isinstance(value, str) else value


def _placeholder(secret: bytes, origin: str) -> bytes:
    return f"(hidden:{origin})".encode("utf-8", "surrogateescape") if origin else _mask(secret, origin)


def _mask(secret: bytes, _origin: str) -> bytes:
    return b"*" * len(secret)
