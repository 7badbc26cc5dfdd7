"""Secrets of a target that users share reports without: of its URL, its headers and its login."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HIDDEN = "***"
#: Shortest value that is hidden wherever it stands; shorter ones only behind their name.
SHORTEST = 4
#: Length from which a value of a query may be a secret, whatever its name.
LONG = 8
_USER = re.compile(r"(?<=//)[^/?#@\s]*(?:@[^/?#@\s]*)*@")
_QUERY_PAIR = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s\"'<>]*)")
_SECRET_NAME = re.compile(r"token|key|secret|pass|auth|sig|jwt|session|ticket|code|cred|sid", re.IGNORECASE)


def shown_url(url: str) -> str:
    """URL without its user, its password, and the values of its query that may be secrets."""
    return _QUERY_PAIR.sub(_shown_pair, _USER.sub(f"{HIDDEN}@", url))


def _shown_pair(pair: re.Match[str]) -> str:
    return f"{pair[1]}={HIDDEN}" if _may_be_secret(pair[1], pair[2]) else pair[0]


def _may_be_secret(name: str, value: str) -> bool:
    """True for a value under the name of a secret, and for one that is long enough to be one."""
    return bool(value) and (len(value) >= LONG or bool(_SECRET_NAME.search(name)))


def basic(url: str) -> str | None:
    """Value of the header Authorization for the user and password of a URL; None if it has none."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return None
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"


class Secrets:
    """Texts to hide, as a filter of text and of octets."""

    def __init__(
        self, urls: Iterable[str] = (), headers: Mapping[str, str] | None = None, words: Iterable[str] = ()
    ) -> None:
        """`urls` have users, passwords and queries; `headers` are hidden by name and value; `words` are passwords."""
        found: dict[str, None] = {}
        behind_names: dict[str, None] = {}
        for word in words:
            found[word] = None
        for url in urls:
            self._add_url(url, found, behind_names)
        for name, value in (headers or {}).items():
            behind_names[f"{name}: {value}"] = None
            behind_names[f"{name}:{value}"] = None
            found[value] = None
            if " " in value:  # `Bearer abc`: the server may name the second word alone
                found[value.rpartition(" ")[2]] = None
        anywhere = [rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])" for word in _longest_first(found)]
        named = [
            rf"(?P<_{number}>{re.escape(pair[: end + 1])}){re.escape(pair[end + 1 :])}"
            for number, pair in enumerate(_longest_first(behind_names, 0))
            for end in [re.search(r"[=:] ?", pair).end() - 1]  # type: ignore[union-attr]
        ]
        self._pattern = re.compile("|".join([*named, *anywhere])) if named or anywhere else None
        self._octets = (
            re.compile(self._pattern.pattern.encode("utf-8", "surrogateescape")) if self._pattern else None
        )

    @staticmethod
    def _add_url(url: str, found: dict[str, None], behind_names: dict[str, None]) -> None:
        parts = urlsplit(url)
        for text in (parts.password or "", f"{parts.username or ''}:{parts.password or ''}"):
            if text.strip(":"):
                found[text] = found[unquote(text)] = None
        if (value := basic(url)) is not None:
            found[value.removeprefix("Basic ")] = None
        for pair in parts.query.split("&"):
            name, _, value = pair.partition("=")
            if _may_be_secret(name, value):
                behind_names[pair] = None
                found[value] = found[unquote_plus(value)] = None

    def text(self, text: str) -> str:
        """Text with the secrets hidden."""
        if self._pattern is None:
            return text
        return self._pattern.sub(
            lambda match: f"{match.group(match.lastgroup or 0) if match.lastgroup else ''}{HIDDEN}", text
        )

    def octets(self, octets: bytes) -> bytes:
        """Octets with the secrets hidden."""
        if self._octets is None:
            return octets
        return self._octets.sub(
            lambda match: (match.group(match.lastgroup) if match.lastgroup else b"") + HIDDEN.encode(), octets
        )

    def __bool__(self) -> bool:
        return self._pattern is not None


def _longest_first(words: Iterable[str], shortest: int = SHORTEST) -> list[str]:
    return sorted((word for word in words if len(word) >= shortest), key=len, reverse=True)
