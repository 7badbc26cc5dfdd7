"""Secrets of a target that users share reports without: of its URL, its headers and its login."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from itertools import accumulate
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

from conformance.wire.cutting import ELLIPSIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

HIDDEN = "***"
#: Shortest value that is hidden wherever it stands; shorter ones only behind their name.
SHORTEST = 4
#: Length from which a value of a query may be a secret, whatever its name.
LONG = 8
#: Shortest beginning of a secret that is hidden in front of a cut.
BEGINNING = 3
#: What a cut may leave behind the beginning of a secret: a quote, or a character in place of half of one.
_ENDS_OF_CUTS = "'\"\ufffd"
#: Place before or after a short secret: no letter or digit, or an escape that ends there, as in `\\nsecret`.
_BEFORE = r"(?:(?<![A-Za-z0-9])|(?<=\\[abfnrtv0])|(?<=\\x[0-9a-f][0-9a-f]))"
_AFTER = r"(?![A-Za-z0-9])"
_STOMP_ESCAPES = {"\\": "\\\\", ":": "\\c", "\n": "\\n", "\r": "\\r"}
_USER = re.compile(r"(?<=//)[^/?#@\s]*(?:@[^/?#@\s]*)*@")
_QUERY_PAIR = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s\"'<>]*)")
_SECRET_NAME = re.compile(
    r"token|key|secret|pass|auth|sig|jwt|session|ticket|code|cred|sid|cookie", re.IGNORECASE
)


def shown_url(url: str) -> str:
    """URL without its user, its password, and the values of its query that may be secrets."""
    return _QUERY_PAIR.sub(_shown_pair, _USER.sub(f"{HIDDEN}@", url))


def _shown_pair(pair: re.Match[str]) -> str:
    return f"{pair[1]}={HIDDEN}" if may_be_secret(pair[1], pair[2]) else pair[0]


def may_be_secret(name: str, value: str) -> bool:
    """True for a value under the name of a secret, and for one that is long enough to be one."""
    return bool(value) and (len(value) >= LONG or bool(_SECRET_NAME.search(name)))


def basic(url: str) -> str | None:
    """Value of the header Authorization for the user and password of a URL; None if it has none."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return None
    return basic_of(unquote(parts.username or ""), unquote(parts.password or ""))


def basic_of(login: str, passcode: str) -> str:
    """Value of the header Authorization for Basic authentication (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{login}:{passcode}'.encode()).decode('ascii')}"


class Secrets:
    """Texts to hide, as a filter of text and of octets.

    `known` has the secrets by their origin: `passcode`, `user`, `header NAME` in lower case,
    `connect-header NAME`, `query NAME`.
    """

    def __init__(
        self,
        urls: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        words: Iterable[str] = (),
        *,
        connect_headers: Mapping[str, str] | None = None,
    ) -> None:
        """`urls` have users, passwords and queries; headers are hidden by name and value; `words` are passcodes."""
        self.known: dict[str, str] = {}
        self._origins: dict[str, str] = {}
        found: dict[str, None] = {}
        behind_names: dict[str, None] = {}
        for word in words:
            self._add("passcode", word, found)
            behind_names[f"passcode:{word}"] = None
        for url in urls:
            self._add_url(url, found, behind_names)
        given = [("header", name, value) for name, value in (headers or {}).items()]
        given += [("connect-header", name, value) for name, value in (connect_headers or {}).items()]
        for kind, name, value in given:
            if not value:
                continue
            behind_names[f"{name}: {value}"] = None
            behind_names[f"{name}:{value}"] = None
            self._add(f"{kind} {name.lower() if kind == 'header' else name}", value, found)
            if " " in value:  # `Bearer abc`: the server may name the second word alone
                found[value.rpartition(" ")[2]] = None
            if _SECRET_NAME.search(name):
                found.update(dict.fromkeys(_parts(value)))
        written = {form for word in found if len(word) >= SHORTEST for form in _forms(word)}
        self._forms = sorted(written, key=len, reverse=True)
        anywhere = [_bounded(word) for word in sorted(written, key=lambda form: (-len(form), form))]
        named = [
            rf"(?P<_{number}>(?i:{re.escape(pair[: end + 1])})){re.escape(pair[end + 1 :])}"
            for number, pair in enumerate(sorted(behind_names, key=len, reverse=True))
            for end in [re.search(r"[=:] ?", pair).end() - 1]  # type: ignore[union-attr]
        ]
        self._pattern = re.compile("|".join([*named, *anywhere])) if named or anywhere else None
        self._octets = (
            re.compile(self._pattern.pattern.encode("utf-8", "surrogateescape")) if self._pattern else None
        )

    def _add(self, origin: str, value: str, found: dict[str, None]) -> None:
        found[value] = None
        if value:
            self.known.setdefault(origin, value)
            self._origins.setdefault(value, origin)

    def _add_url(self, url: str, found: dict[str, None], behind_names: dict[str, None]) -> None:
        parts = urlsplit(url)
        pair = f"{parts.username or ''}:{parts.password or ''}"
        if pair.strip(":"):
            self._add("user", pair, found)
        # A user without a password is a token.
        for text in (parts.password or parts.username or "", pair):
            if text.strip(":"):
                found[text] = found[unquote(text)] = None
        if (value := basic(url)) is not None:
            found[value.removeprefix("Basic ")] = None
        for pair in parts.query.split("&"):
            name, _, value = pair.partition("=")
            if may_be_secret(name, value):
                behind_names[pair] = None
                self._add(f"query {name}", value, found)
                found[unquote_plus(value)] = None

    def text(self, text: str) -> str:
        """Text with the secrets hidden, and with those of which a cut, marked by ELLIPSIS, has left the beginning."""
        if self._pattern is None:
            return text
        hidden = self._pattern.sub(
            lambda match: f"{match.group(match.lastgroup or 0) if match.lastgroup else ''}{HIDDEN}", text
        )
        *cut, last = hidden.split(ELLIPSIS)
        return ELLIPSIS.join([*map(self._without_beginning, cut), last])

    def cut_octets(self, octets: bytes) -> bytes:
        """Octets that end in a cut, without the beginning of a secret there."""
        text = octets.decode("utf-8", "surrogateescape")
        return self._without_beginning(text).encode("utf-8", "surrogateescape")

    def _without_beginning(self, text: str) -> str:
        """Text in front of a cut, without the beginning of a secret at its end."""
        for end in dict.fromkeys([text, text.rstrip(_ENDS_OF_CUTS)]):
            for form in self._forms:
                for length in range(min(len(form), len(end)), BEGINNING - 1, -1):
                    if end.endswith(form[:length]):
                        return f"{end[:-length]}{HIDDEN}{text[len(end) :]}"
        return text

    def octets(self, octets: bytes) -> bytes:
        """Octets with the secrets hidden."""
        return self.pieces([octets])[0]

    def pieces(
        self,
        pieces: Sequence[bytes],
        instead: Callable[[bytes, str], bytes] = lambda _secret, _origin: HIDDEN.encode(),
    ) -> list[bytes]:
        """Consecutive octets with the secrets hidden, those too that one piece begins and another one ends.

        `instead` gives what stands for a secret; its arguments are the secret and its origin, "" for another form of a
        secret, such as an escaped one.
        """
        if self._octets is None:
            return list(pieces)
        whole = b"".join(pieces)
        ends = list(accumulate(map(len, pieces)))
        found: list[bytearray] = [bytearray() for _ in pieces]
        number = done = 0

        def copy(until: int) -> None:
            """Copy octets that are no secret to the pieces that they come from."""
            nonlocal number, done
            while done < until:
                while ends[number] <= done:
                    number += 1
                end = min(until, ends[number])
                found[number] += whole[done:end]
                done = end

        for match in self._octets.finditer(whole):
            begin = match.end(match.lastgroup) if match.lastgroup else match.start()
            copy(begin)
            left = instead(match[0][begin - match.start() :], self._origin(match, begin))
            while left:
                while ends[number] <= done:
                    number += 1
                # A stand-in of the same length is cut as the secret was; any other one is kept whole.
                size = ends[number] - done if len(left) == match.end() - done else len(left)
                found[number] += left[:size]
                left = left[size:]
                done = min(done + size, ends[number])
            done = match.end()
        copy(len(whole))
        return [bytes(piece) for piece in found]

    def _origin(self, match: re.Match[bytes], begin: int) -> str:
        secret = match[0][begin - match.start() :].decode("utf-8", "surrogateescape")
        return self._origins.get(secret, "")

    def __bool__(self) -> bool:
        return self._pattern is not None


def _parts(value: str) -> list[str]:
    """Parts of a header's value that a server may repeat alone: of cookies, of parameters, of Basic credentials."""
    words = re.split(r"[;,\s]+", value)
    found = [word.partition("=")[2].strip('"') for word in words if "=" in word.rstrip("=")]
    scheme, _, coded = value.partition(" ")
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            pair = base64.b64decode(coded.strip(), validate=True).decode("utf-8")
            found += [pair, pair.partition(":")[2]]
    return found


def _forms(word: str) -> set[str]:
    """Forms in which a secret may be written: as it is, and escaped for STOMP, JSON, URLs and Python.

    Lone surrogates in them are octets that are no UTF-8.
    """
    octets = word.encode("utf-8", "surrogateescape")
    forms = {
        word,
        "".join(_STOMP_ESCAPES.get(character, character) for character in word),
        json.dumps(word)[1:-1],
        json.dumps(word, ensure_ascii=False)[1:-1],
        quote(octets, safe=""),
        quote(octets),
        quote_plus(octets),
    }
    for shown in (repr(word)[1:-1], repr(octets)[2:-1]):
        # Quotes around the whole decide whether those within it are escaped.
        plain = shown.replace("\\'", "'")
        forms |= {plain, plain.replace("'", "\\'")}
    if not word.isascii():
        latin = word.encode("latin-1", "ignore")
        forms |= {latin.decode("utf-8", "surrogateescape"), repr(latin)[2:-1], octets.decode("latin-1")}
    return forms


def _bounded(word: str) -> str:
    """Pattern of a secret; a short one is hidden as a whole word only, since it may be a part of many."""
    return re.escape(word) if len(word) >= LONG else f"{_BEFORE}{re.escape(word)}{_AFTER}"
