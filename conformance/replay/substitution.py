"""Recorded octets made fit for another run: its names, its address, its secrets, and the ids that its server gives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.replay.answers import MESSAGE_ID
from conformance.replay.hiding import restored, with_paths
from conformance.targets.address import PORTS, HttpHost
from conformance.wire.access import Access

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from urllib.parse import SplitResult

_JSON_ID = re.compile(rb'("message_?[iI]d"\s*:\s*)("?)([^",}\s]+)(\2)')
_SETTLING = re.compile(rb"^(?:ACK|NACK)\r?\n")
_FRAME_ID = re.compile(rb"(?m)^((?:message-)?id:)([^\r\n]*)")
_HTTP_LENGTH = re.compile(rb"(?mi)^(content-length: *)(\d+)")
_FRAME_LENGTH = re.compile(rb"(?m)^(content-length:)(\d+)")


class UnknownId(Exception):
    """A step needs an id that the server gave in the recorded run, and did not give now."""


class Ids:
    """Ids that the server gave: of each recorded one the counterpart of this run."""

    def __init__(self) -> None:
        self._now: dict[str, str] = {}
        self._was: dict[str, str] = {}
        self._missing: set[str] = set()

    def learn(self, recorded: Iterable[str], now: Iterable[str]) -> bool:
        """Note the ids of an answer; False if they don't correspond to those of earlier answers."""
        recorded, now = list(recorded), list(now)
        fits = len(recorded) == len(now)
        for old, new in zip(recorded, now, strict=False):
            if self._now.get(old, new) != new or self._was.get(new, old) != old:
                fits = False
            self._now[old], self._was[new] = new, old
        self._missing.update(set(recorded) - set(self._now))
        return fits

    def of(self, recorded: str) -> str:
        """Counterpart of an id; one that no server gave stays as it is. Raises UnknownId."""
        if recorded in self._missing and recorded not in self._now:
            raise UnknownId(recorded)
        return self._now.get(recorded, recorded)


class Substitution:
    """Substitutes in what is sent; `tokens` and `urls` are the recorded one and that of this run."""

    def __init__(
        self,
        tokens: tuple[str, str],
        urls: tuple[str, str],
        *,
        http: tuple[str, str] = ("", ""),
        known: Mapping[str, str] | None = None,
        access: Access | None = None,
        host_header: str | None = None,
        login: str | None = None,
    ) -> None:
        """`http` are the authorities of HTTP requests elsewhere; `known` are the secrets by their origins."""
        self.ids = Ids()
        self._tokens = tokens[0].encode(), tokens[1].encode()
        self._known = known or {}
        self._access = access or Access()
        was, now = (urlsplit(url) for url in urls)
        here = now.netloc.rpartition("@")[2]
        self._authorities = {
            was.netloc: here,
            _authority(was): _authority(now),
            http[0] or _authority(was): http[1] or _authority(now),
        }
        names = sorted(self._authorities, key=len, reverse=True)
        self._authority = re.compile("|".join(map(re.escape, names)).encode())
        host = (host_header or now.hostname or "").encode()
        self._hosts = b"\nhost:" + (was.hostname or "").encode() + b"\n", b"\nhost:" + host + b"\n"
        self._login = None if login is None else login.encode()

    def request(self, octets: bytes) -> bytes:
        """Octets for an HTTP connection."""
        octets = with_paths(restored(octets, self._known), self._request)
        head, gap, body = octets.partition(b"\r\n\r\n")
        if not gap:
            return self._named(octets)
        changed = self._json(self._named(body))
        head = self._here(self._named(head))
        return _with_length(_HTTP_LENGTH, head, body, changed) + gap + changed

    def message(self, octets: bytes) -> bytes:
        """Octets of a WebSocket message, which hold a frame as a rule."""
        octets = restored(octets, self._known)
        head, gap, body = octets.partition(b"\n\n")
        if not gap:
            return self._named(octets)
        head = self._named(head)
        if head.startswith((b"CONNECT\n", b"STOMP\n")):
            head = (head + b"\n").replace(*self._hosts)[:-1]
            if self._login is not None:
                head = re.sub(rb"(?m)^login:.*$", lambda _: b"login:" + (self._login or b""), head)
            for name, value in self._access.connect_headers.items():
                if f"\n{name}:".encode() not in head:
                    head += f"\n{name}:{value}".encode()
        if _SETTLING.match(head):
            head = _FRAME_ID.sub(self._settled, head)
        counted = body.removesuffix(b"\0")
        changed = self._json(self._named(body))
        head = _with_length(_FRAME_LENGTH, head, counted, changed.removesuffix(b"\0"))
        return head + gap + changed

    def text(self, text: str) -> str:
        """A path or a header."""
        return self._here(self._named(restored(text.encode(), self._known))).decode()

    def raw(self, octets: bytes) -> bytes:
        """Octets below the WebSocket layer, with the secrets in their places."""
        return restored(octets, self._known)

    def _request(self, path: str, head: bytes) -> tuple[str, bytes]:
        """Path and headers of a request as this run has them."""
        names = {line.partition(b":")[0].strip().lower() for line in head.split(b"\n")}
        missing = [
            f"{name}: {value}\r\n".encode("latin-1")
            for name, value in self._access.headers.items()
            if name.lower().encode() not in names
        ]
        return self._access.http_path(path), b"".join(missing) + head

    def _here(self, octets: bytes) -> bytes:
        return self._authority.sub(lambda found: self._authorities[found[0].decode()].encode(), octets)

    def _named(self, octets: bytes) -> bytes:
        return octets.replace(*self._tokens)

    def _json(self, body: bytes) -> bytes:
        return _JSON_ID.sub(
            lambda found: found[1] + found[2] + self._id(MESSAGE_ID, found[3]) + found[4], body
        )

    def _settled(self, found: re.Match[bytes]) -> bytes:
        """Header of ACK or NACK: `id` names the `ack` of a MESSAGE, `message-id` its `message-id`."""
        return found[1] + self._id("ack:" if found[1] == b"id:" else "message-id:", found[2])

    def _id(self, kind: str, octets: bytes) -> bytes:
        value = octets.decode("utf-8", "surrogateescape")
        return self.ids.of(kind + value).removeprefix(kind).encode("utf-8", "surrogateescape")


def _authority(parts: SplitResult) -> str:
    return HttpHost(parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)).authority


def _with_length(pattern: re.Pattern[bytes], head: bytes, body: bytes, changed: bytes) -> bytes:
    """Head whose content-length counts the changed body, if it counted the body before."""
    if len(changed) == len(body):
        return head
    found = pattern.search(head)
    if found is None or int(found[2]) != len(body):
        return head
    return head[: found.start(2)] + str(len(changed)).encode() + head[found.end(2) :]
