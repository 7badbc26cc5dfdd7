"""Addresses of a server: URLs, paths of endpoints, headers, as users write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urlsplit

from conformance.targets.secrets import HIDDEN, shown_url
from conformance.wire import tcp
from conformance.wire.access import SUBPROTOCOL

if TYPE_CHECKING:
    import ssl

#: The schemes of URLs whose connections are encrypted.
SECURE = ("wss", "https", *tcp.SECURE)
PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443, **tcp.PORTS}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_TEXT = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
#: Characters that stay as they are in the path and the query of a URL, besides letters, digits and `-._~`.
_URL_SIGNS = "%/:@!$&'()*+,;=?"
#: Headers that the suite itself sets, since they frame a request.
_RESERVED = {"content-length", "transfer-encoding", "connection", "upgrade", "content-type"}


class BadUrl(ValueError):
    """The URL of the target is unusable; the message describes a usable one."""


@dataclass(frozen=True)
class HttpHost:
    """Host and port of HTTP requests; `tls` is None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def authority(self) -> str:
        """Host and port, as in the header Host."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_url(url: str, *schemes: str) -> SplitResult:
    """Split and check a URL of one of the `schemes`, by default of any. Raises BadUrl."""
    shown = shown_url(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadUrl(_unreadable(url, str(error))) from error
    is_clean = url.isprintable() and " " not in url
    if not is_clean or parts.scheme not in (schemes or PORTS) or not parts.hostname or port == 0:
        example = "http://127.0.0.1:8080/broker" if schemes else "ws://127.0.0.1:8080/stomp"
        raise BadUrl(
            f"{shown!r} is no URL of a server: expected something like {example}, "
            f"with {' or '.join(schemes) if schemes else 'ws, wss, stomp, stomps, http or https'}"
        )
    _check_characters(url, parts)
    if parts.scheme in tcp.PORTS and (parts.path.strip("/") or parts.query or parts.fragment):
        raise BadUrl(
            f"{shown!r} has a path, and STOMP over TCP knows none: expected {parts.scheme}://HOST:PORT alone"
        )
    if "#" in url:
        raise BadUrl(f"{shown!r} has a fragment, which no request carries: leave out what begins with #")
    return parts


def _unreadable(url: str, why: str) -> str:
    """Sentence on a URL that Python can't split, which says `why`."""
    hint = ""
    if "cast to integer" in why:  # repeats what it takes for a port, which may be a part of a password
        why = "its port is no number"
    if "@" in url:
        hint = "; in a user and a password, / is written %2F, ? is %3F, # is %23 and @ is %40"
    elif "::" in url:
        hint = "; an IPv6 address stands in brackets: ws://[::1]:8080/stomp"
    # The end of the user is unknown: all before the last @ may be a part of it.
    shown = shown_url(re.sub(r"//.*@", f"//{HIDDEN}@", url))
    return f"{shown!r} is no URL: {why}{hint}"


def _check_characters(url: str, parts: SplitResult) -> None:
    """Raises BadUrl for a host that is no name, and for characters that no request line or Host header carries."""
    shown, host = shown_url(url), parts.hostname or ""
    try:
        plain = host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise BadUrl(
            f"{shown!r} is no URL of a server: {host!r} can be no host, since a name has parts of 1 to 63 characters "
            "between its dots"
        ) from error
    if not (host + parts.path + parts.query).isascii():
        user, at, authority = parts.netloc.rpartition("@")
        coded = parts._replace(
            netloc=user + at + authority.lower().replace(host, plain),
            path=quote(parts.path, safe=_URL_SIGNS),
            query=quote(parts.query, safe=_URL_SIGNS),
        )
        raise BadUrl(
            f"{shown!r} has characters beyond ASCII, which no request carries: write them percent-encoded, and those "
            f"of the host in Punycode: {shown_url(coded.geturl())}"
        )


def http_url(text: str) -> str:
    """URL of HTTP requests. Raises BadUrl."""
    parse_url(text, "http", "https")
    return text


def with_plain_scheme(url: str) -> str:
    """The URL with its scheme in lower case, in which schemes are compared and shown."""
    scheme, colon, rest = url.partition("://")
    return f"{scheme.lower()}{colon}{rest}"


def endpoint_path(text: str) -> str:
    """Path of an endpoint, with or without the first slash. Raises ValueError for a URL or anything else."""
    if "://" in text or text.startswith("//"):
        raise ValueError(
            f"expected a path on the server of the URL, such as /stomp; found {shown_url(text)!r}"
        )
    if not text.isprintable() or " " in text or "#" in text:
        raise ValueError(f"expected a path such as /stomp; found {text!r}")
    if not text.isascii():
        raise ValueError(f"expected a path in ASCII, such as {quote(text, safe=_URL_SIGNS)}; found {text!r}")
    return text


def http_header(text: str) -> tuple[str, str]:
    """Name and value of `Name: value`. Raises ValueError, which does not show the value."""
    name, colon, value = text.partition(":")
    return _header(name.strip(), value.strip()) if colon else _no_header("Name: value")


def check_http_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers, checked. Raises ValueError."""
    return dict(_header(name, value) for name, value in headers.items())


def connect_header(text: str) -> tuple[str, str]:
    """Name and value of `name:value`, a header of CONNECT, whose value is sent octet by octet. Raises ValueError."""
    name, colon, value = text.partition(":")
    return _connect_header(name, value) if colon else _no_header("name:value")


def check_connect_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers of CONNECT, checked. Raises ValueError."""
    return dict(_connect_header(name, value) for name, value in headers.items())


def connect_text(text: str) -> str:
    """Value of a header of CONNECT, which has no escapes. Raises ValueError, which does not show the value."""
    if found := re.search(r"[\x00\r\n]", text):
        what = {"\0": "a NUL", "\r": "a carriage return", "\n": "a line feed"}[found[0]]
        raise ValueError(f"character {found.start() + 1} is {what}: expected a text that a CONNECT can carry")
    return text


def _no_header(form: str) -> tuple[str, str]:
    raise ValueError(f"a header has no colon: expected {form!r}")


def _header(name: str, value: str) -> tuple[str, str]:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header: expected 'Name: value'")
    is_handshake = name.lower().startswith("sec-websocket-") and name.lower() != SUBPROTOCOL
    if name.lower() in _RESERVED or is_handshake:
        raise ValueError(f"the header {name} is set by the suite: expected another one")
    if not _HEADER_TEXT.fullmatch(value) or not _is_latin(value):
        raise ValueError(f"the value of the header {name} has characters that no header can carry")
    return name, value


def _connect_header(name: str, value: str) -> tuple[str, str]:
    if not name or re.search(r"[\x00\r\n:]", name) or re.search(r"[\x00\r\n]", value):
        raise ValueError(f"{name!r} is no header of CONNECT: expected name:value without NUL and line ends")
    return name, value


def _is_latin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
